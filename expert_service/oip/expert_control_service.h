#pragma once

#include <memory>

#include "common/time/clock.h"
#include "common/time/timers.h"
#include "expert_service/execution/device.h"
#include "expert_service/execution/executor.h"
#include "expert_service/metering/energy_meter.h"
#include "expert_service/models/live_repository.h"

namespace penstock {
class RpcService;
}  // namespace penstock

namespace penstock::expert {

// penstock.v1.ExpertControl. Anyone may read (the same figures travel in every answer's trailers);
// Prefetch is for trusted callers.
class ExpertControlService {
 public:
  // All arguments outlive the service.
  ExpertControlService(const LiveRepository& models, const Executor& executor,
                       const EnergyMeter& meter, const Device& device, const Clock& clock,
                       Timers& timers);
  ~ExpertControlService();

  RpcService& service();
  // Ends the streams, present and future, so that a drain does not wait for them.
  void EndStreams();

 private:
  class Service;
  const std::unique_ptr<Service> service_;
};

}  // namespace penstock::expert
