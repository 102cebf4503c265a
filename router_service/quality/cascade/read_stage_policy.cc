#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/status_macros.h"
#include "router_service/quality/cascade/bin_policy.h"
#include "router_service/quality/cascade/bypass_gate.h"
#include "router_service/quality/cascade/exit_gates.h"
#include "router_service/quality/cascade/stage_policy.h"

namespace penstock::router {

absl::Span<const size_t> StageList::After(size_t standing) const {
  const size_t at = std::min(experts.size(), PlaceOf(standing) + 1);
  return absl::MakeConstSpan(experts).subspan(at);
}

size_t StageList::PlaceOf(size_t expert) const {
  return static_cast<size_t>(std::find(experts.begin(), experts.end(), expert) - experts.begin());
}

absl::StatusOr<StageList> ReadStageList(const Safetensors& file, absl::string_view path,
                                        const std::vector<std::string>& expert_names) {
  const auto names = file.metadata().find("stages");
  if (names == file.metadata().end()) {
    return absl::InvalidArgumentError(absl::StrCat(path, " has no metadata \"stages\""));
  }
  StageList stages;
  for (const absl::string_view name : absl::StrSplit(names->second, ',')) {
    const auto at = std::find(expert_names.begin(), expert_names.end(), name);
    if (at == expert_names.end()) {
      return absl::InvalidArgumentError(absl::StrCat(path, " was calibrated for the stages ",
                                                     names->second, ", but \"", name,
                                                     "\" is no expert of the pool"));
    }
    const size_t expert = static_cast<size_t>(at - expert_names.begin());
    if (stages.PlaceOf(expert) != stages.experts.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": stage \"", name, "\" stands twice in ", names->second));
    }
    stages.experts.push_back(expert);
  }
  if (stages.experts.size() < 2) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": stages are ", names->second, ", wanted at least 2"));
  }
  return stages;
}

absl::StatusOr<std::unique_ptr<const StagePolicy>> ReadStagePolicy(
    const Safetensors& file, absl::string_view path, const std::vector<std::string>& expert_names) {
  const std::string& policy = file.metadata().at("policy");
  PENSTOCK_ASSIGN_OR_RETURN(StageList stages, ReadStageList(file, path, expert_names));
  if (policy == "automix") return BinPolicy::Read(file, path, std::move(stages));
  if (policy == "jei") return ExitGates::Read(file, path, std::move(stages));
  if (policy == "bypass") return BypassGate::Read(file, path, std::move(stages));
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": policy is \"", policy, "\", wanted automix, jei or bypass"));
}

}  // namespace penstock::router
