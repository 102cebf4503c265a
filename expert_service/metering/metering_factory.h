#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "expert_service/metering/energy_meter.h"
#include "expert_service/metering/energy_model.h"
#include "penstock/config/v1/expert.pb.h"

namespace penstock::expert {

// INVALID_ARGUMENT names the field: coefficients and idle watts are finite and not negative, the
// window is in [100 ms, 60 s].
absl::Status CheckMetering(const config::v1::Metering& config);

// Of a configuration that was checked.
EnergyModel MakeEnergyModel(const config::v1::Metering& config);
absl::Duration MeteringWindow(const config::v1::Metering& config);

// The meter of the device that models run on. AUTO takes NVML where `on_gpu`, RAPL where it can be
// read, else the model, and logs why; a source that is named but absent is FAILED_PRECONDITION.
absl::StatusOr<std::unique_ptr<EnergyMeter>> MakeEnergyMeter(const config::v1::Metering& config,
                                                             bool on_gpu, absl::Time now);

}  // namespace penstock::expert
