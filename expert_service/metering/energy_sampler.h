#pragma once

#include <thread>

#include "common/mutex.h"
#include "common/time/clock.h"
#include "expert_service/metering/energy_meter.h"

namespace penstock::expert {

// The thread that samples a meter, until destroyed; both arguments outlive it.
class EnergySampler {
 public:
  EnergySampler(EnergyMeter& meter, const Clock& clock, absl::Duration period);
  ~EnergySampler();

 private:
  void Run();

  EnergyMeter& meter_;
  const Clock& clock_;
  const absl::Duration period_;
  Mutex mutex_;
  CondVar wake_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace penstock::expert
