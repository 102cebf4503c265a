#pragma once

#include <memory>
#include <string>
#include <vector>

#include "expert_service/metering/energy_counter.h"

namespace penstock::expert {

// RAPL through Linux's powercap files: the package zones only, since core and uncore lie within
// them and psys around them. Files are readable by root alone where CVE-2020-8694 was mitigated.
class RaplCounter final : public EnergyCounter {
 public:
  // `root` is "/sys/class/powercap". NOT_FOUND: no package zone; PERMISSION_DENIED: not readable.
  static absl::StatusOr<std::unique_ptr<RaplCounter>> Open(const std::string& root);

  absl::StatusOr<std::vector<CounterReading>> Read() override;
  std::string description() const override;

 private:
  struct Zone {
    std::string name;
    std::string energy_path;
    uint64_t range_microjoules = 0;
  };

  explicit RaplCounter(std::vector<Zone> zones) : zones_(std::move(zones)) {}

  const std::vector<Zone> zones_;
};

}  // namespace penstock::expert
