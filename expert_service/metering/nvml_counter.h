#pragma once

#include <memory>

#include "expert_service/metering/energy_counter.h"
#include "expert_service/metering/nvml.h"

namespace penstock::expert {

// The energy counters of all GPUs.
class NvmlCounter final : public EnergyCounter {
 public:
  // As Nvml::Open; UNAVAILABLE, too: a GPU has no such counter.
  static absl::StatusOr<std::unique_ptr<NvmlCounter>> Open();

  absl::StatusOr<std::vector<CounterReading>> Read() override;
  std::string description() const override;

 private:
  explicit NvmlCounter(std::shared_ptr<const Nvml> nvml) : nvml_(std::move(nvml)) {}

  const std::shared_ptr<const Nvml> nvml_;
};

}  // namespace penstock::expert
