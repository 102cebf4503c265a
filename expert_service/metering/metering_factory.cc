#include "expert_service/metering/metering_factory.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/logging/log.h"
#include "common/status_macros.h"
#include "expert_service/metering/nvml_counter.h"
#include "expert_service/metering/rapl_counter.h"

namespace penstock::expert {
namespace {

constexpr char kPowercap[] = "/sys/class/powercap";

absl::Status CheckAmount(absl::string_view field, double value) {
  if (std::isfinite(value) && value >= 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("metering.", field, " must be finite and at least 0, found ", value));
}

absl::StatusOr<std::unique_ptr<EnergyCounter>> Named(
    absl::StatusOr<std::unique_ptr<EnergyCounter>> counter, absl::string_view source) {
  if (counter.ok()) return counter;
  return absl::FailedPreconditionError(
      absl::StrCat("metering.source is ", source, ", but ", counter.status().message()));
}

absl::StatusOr<std::unique_ptr<EnergyCounter>> Best(bool on_gpu) {
  if (on_gpu) {
    auto nvml = NvmlCounter::Open();
    if (nvml.ok()) return std::unique_ptr<EnergyCounter>(*std::move(nvml));
    LogWarning("energy").With("source", "modelled").With("reason", nvml.status().message());
    return nullptr;
  }
  auto rapl = RaplCounter::Open(kPowercap);
  if (rapl.ok()) return std::unique_ptr<EnergyCounter>(*std::move(rapl));
  LogInfo("energy").With("source", "modelled").With("reason", rapl.status().message());
  return nullptr;
}

absl::StatusOr<std::unique_ptr<EnergyCounter>> CounterOf(config::v1::Metering::Source source,
                                                         bool on_gpu) {
  switch (source) {
    case config::v1::Metering::AUTO:
      return Best(on_gpu);
    case config::v1::Metering::NVML:
      return Named(NvmlCounter::Open(), "NVML");
    case config::v1::Metering::RAPL:
      return Named(RaplCounter::Open(kPowercap), "RAPL");
    case config::v1::Metering::MODELLED:
      return nullptr;
    case config::v1::Metering_Source_Metering_Source_INT_MIN_SENTINEL_DO_NOT_USE_:
    case config::v1::Metering_Source_Metering_Source_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return absl::InvalidArgumentError(absl::StrCat("metering.source: unknown value ", int{source}));
}

}  // namespace

absl::Status CheckMetering(const config::v1::Metering& config) {
  PENSTOCK_RETURN_IF_ERROR(CheckAmount("joules_per_request", config.joules_per_request()));
  PENSTOCK_RETURN_IF_ERROR(CheckAmount("joules_per_flop", config.joules_per_flop()));
  PENSTOCK_RETURN_IF_ERROR(CheckAmount("joules_per_byte", config.joules_per_byte()));
  PENSTOCK_RETURN_IF_ERROR(CheckAmount("idle_watts", config.idle_watts()));
  const absl::Duration window = MeteringWindow(config);
  if (window < absl::Milliseconds(100) || window > absl::Seconds(60)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "metering.window must be in [100ms, 60s], found ", absl::FormatDuration(window)));
  }
  return absl::OkStatus();
}

EnergyModel MakeEnergyModel(const config::v1::Metering& config) {
  EnergyModel model;
  if (config.has_joules_per_request()) model.joules_per_request = config.joules_per_request();
  if (config.has_joules_per_flop()) model.joules_per_flop = config.joules_per_flop();
  if (config.has_joules_per_byte()) model.joules_per_byte = config.joules_per_byte();
  return model;
}

absl::Duration MeteringWindow(const config::v1::Metering& config) {
  if (!config.has_window()) return absl::Seconds(1);
  return absl::Seconds(config.window().seconds()) + absl::Nanoseconds(config.window().nanos());
}

absl::StatusOr<std::unique_ptr<EnergyMeter>> MakeEnergyMeter(const config::v1::Metering& config,
                                                             bool on_gpu, absl::Time now) {
  PENSTOCK_RETURN_IF_ERROR(CheckMetering(config));
  EnergyMeter::Options options;
  options.window = MeteringWindow(config);
  if (config.has_idle_watts()) options.idle_watts = config.idle_watts();
  PENSTOCK_ASSIGN_OR_RETURN(std::unique_ptr<EnergyCounter> counter,
                            CounterOf(config.source(), on_gpu));
  return std::make_unique<EnergyMeter>(options, std::move(counter), now);
}

}  // namespace penstock::expert
