#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace penstock::expert {

// How joules are known; the numbers are those of the ORCA metric `energy_method`.
enum class EnergyMethod : uint8_t { kUnknown = 0, kCounter = 1, kSampled = 2, kModelled = 3 };

constexpr absl::string_view EnergyMethodName(EnergyMethod method) {
  switch (method) {
    case EnergyMethod::kUnknown:
      return "unknown";
    case EnergyMethod::kCounter:
      return "counter";
    case EnergyMethod::kSampled:
      return "sampled";
    case EnergyMethod::kModelled:
      return "modelled";
  }
  return "unknown";
}

// One counter of a device as it stands.
struct CounterReading {
  uint64_t microjoules = 0;
  // The counter wraps to 0 after this value; 0: it never wraps, and going back means it was reset.
  uint64_t range_microjoules = 0;
};

// Cumulative energy of the hardware that models run on.
class EnergyCounter {
 public:
  virtual ~EnergyCounter() = default;
  // One reading per zone (package, GPU), always as many and in the same order.
  virtual absl::StatusOr<std::vector<CounterReading>> Read() = 0;
  // "rapl package-0", for people.
  virtual std::string description() const = 0;
};

}  // namespace penstock::expert
