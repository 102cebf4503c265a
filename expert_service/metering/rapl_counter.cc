#include "expert_service/metering/rapl_counter.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "common/status_macros.h"

namespace penstock::expert {
namespace {

namespace fs = std::filesystem;

absl::StatusOr<std::string> ReadLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!file.is_open()) return absl::PermissionDeniedError(absl::StrCat(path, ": cannot be read"));
  if (!std::getline(file, line)) return absl::UnavailableError(absl::StrCat(path, ": is empty"));
  return line;
}

absl::StatusOr<uint64_t> ReadNumber(const std::string& path) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::string line, ReadLine(path));
  uint64_t number = 0;
  if (!absl::SimpleAtoi(line, &number)) {
    return absl::UnavailableError(absl::StrCat(path, ": wanted a number, found \"", line, "\""));
  }
  return number;
}

}  // namespace

absl::StatusOr<std::unique_ptr<RaplCounter>> RaplCounter::Open(const std::string& root) {
  std::error_code error;
  std::vector<std::string> folders;
  for (fs::directory_iterator it(root, error), end; !error && it != end; it.increment(error)) {
    folders.push_back(it->path().string());
  }
  std::sort(folders.begin(), folders.end());
  std::vector<Zone> zones;
  std::set<std::string> names;  // intel-rapl-mmio shows the packages of intel-rapl once more
  for (const std::string& folder : folders) {
    const absl::StatusOr<std::string> name = ReadLine(folder + "/name");
    if (!name.ok() || !absl::StartsWith(*name, "package-") || !names.insert(*name).second) continue;
    Zone zone{*name, folder + "/energy_uj", 0};
    PENSTOCK_ASSIGN_OR_RETURN(zone.range_microjoules, ReadNumber(folder + "/max_energy_range_uj"));
    // A hypervisor without RAPL may show files that read nothing.
    if (absl::StatusOr<uint64_t> energy = ReadNumber(zone.energy_path); !energy.ok()) {
      return energy.status();
    }
    zones.push_back(std::move(zone));
  }
  if (zones.empty()) {
    return absl::NotFoundError(absl::StrCat(root, " has no package zone of RAPL"));
  }
  return std::unique_ptr<RaplCounter>(new RaplCounter(std::move(zones)));
}

absl::StatusOr<std::vector<CounterReading>> RaplCounter::Read() {
  std::vector<CounterReading> readings;
  for (const Zone& zone : zones_) {
    PENSTOCK_ASSIGN_OR_RETURN(const uint64_t energy, ReadNumber(zone.energy_path));
    readings.push_back({energy, zone.range_microjoules});
  }
  return readings;
}

std::string RaplCounter::description() const {
  return absl::StrCat("rapl ", absl::StrJoin(zones_, "+", [](std::string* out, const Zone& zone) {
                        absl::StrAppend(out, zone.name);
                      }));
}

}  // namespace penstock::expert
