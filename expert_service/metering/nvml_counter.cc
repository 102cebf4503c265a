#include "expert_service/metering/nvml_counter.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace penstock::expert {

absl::StatusOr<std::unique_ptr<NvmlCounter>> NvmlCounter::Open() {
  PENSTOCK_ASSIGN_OR_RETURN(std::shared_ptr<const Nvml> nvml, Nvml::Open());
  std::unique_ptr<NvmlCounter> counter(new NvmlCounter(std::move(nvml)));
  PENSTOCK_RETURN_IF_ERROR(counter->Read().status());
  return counter;
}

absl::StatusOr<std::vector<CounterReading>> NvmlCounter::Read() {
  std::vector<CounterReading> readings;
  for (size_t device = 0; device < nvml_->devices(); ++device) {
    PENSTOCK_ASSIGN_OR_RETURN(const uint64_t millijoules, nvml_->Millijoules(device));
    readings.push_back({millijoules * 1000, 0});
  }
  return readings;
}

std::string NvmlCounter::description() const {
  std::string names;
  for (size_t device = 0; device < nvml_->devices(); ++device) {
    absl::StrAppend(&names, names.empty() ? "" : "+", nvml_->name(device));
  }
  return absl::StrCat("nvml ", names);
}

}  // namespace penstock::expert
