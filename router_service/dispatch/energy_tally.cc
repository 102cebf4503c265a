#include "router_service/dispatch/energy_tally.h"

namespace penstock::router {

absl::string_view EnergyMethodName(EnergyMethod method) {
  switch (method) {
    case EnergyMethod::kUnknown: return "unknown";
    case EnergyMethod::kModelled: return "modelled";
    case EnergyMethod::kSampled: return "sampled";
    case EnergyMethod::kCounter: return "counter";
  }
  return "unknown";
}

EnergyMethod ParseEnergyMethod(absl::string_view name) {
  if (name == "counter") return EnergyMethod::kCounter;
  if (name == "sampled") return EnergyMethod::kSampled;
  if (name == "modelled") return EnergyMethod::kModelled;
  return EnergyMethod::kUnknown;
}

}  // namespace penstock::router
