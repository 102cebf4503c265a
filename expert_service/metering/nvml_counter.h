#pragma once

#include <memory>

#include "expert_service/metering/energy_counter.h"

namespace penstock::expert {

// nvmlDeviceGetTotalEnergyConsumption of all GPUs (Volta and later). The library comes with the
// driver and is opened at run time.
class NvmlCounter final : public EnergyCounter {
 public:
  // NOT_FOUND: no library or no GPU; UNAVAILABLE: the GPU has no such counter.
  static absl::StatusOr<std::unique_ptr<NvmlCounter>> Open();
  ~NvmlCounter() override;

  absl::StatusOr<std::vector<CounterReading>> Read() override;
  std::string description() const override;

 private:
  struct Library;
  explicit NvmlCounter(std::unique_ptr<Library> library);

  const std::unique_ptr<Library> library_;
};

}  // namespace penstock::expert
