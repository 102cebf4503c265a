#include "router_service/quality/cascade/bin_policy.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace penstock::router {

absl::StatusOr<std::unique_ptr<const BinPolicy>> BinPolicy::Read(const Safetensors& file,
                                                                 absl::string_view path,
                                                                 StageList stages) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<float> goes_on, file.Floats("goes_on", {-1}));
  if (goes_on.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": goes_on has no bins, wanted 1"));
  }
  PENSTOCK_ASSIGN_OR_RETURN(std::vector<float> edges,
                            file.Floats("edges", {static_cast<int64_t>(goes_on.size()) - 1}));
  if (stages.experts.size() != 2) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": stages are ", stages.experts.size(), ", wanted 2 for a table"));
  }
  const bool finite =
      std::all_of(edges.begin(), edges.end(), [](float edge) { return std::isfinite(edge); });
  if (!finite || !std::is_sorted(edges.begin(), edges.end())) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": edges do not ascend"));
  }
  std::vector<uint8_t> table;
  for (const float value : goes_on) table.push_back(value != 0);
  return std::make_unique<BinPolicy>(std::move(stages), std::move(edges), std::move(table));
}

size_t BinPolicy::BinOf(float p_right, absl::Span<const float> edges) {
  return static_cast<size_t>(std::upper_bound(edges.begin(), edges.end(), p_right) - edges.begin());
}

bool BinPolicy::Stands(const StandingAnswer& answer, ExitState&) const {
  const float p_right = answer.quality[answer.expert];
  // What is not a number is not confident, and in no bin.
  return !std::isnan(p_right) && goes_on_[BinOf(p_right, edges_)] == 0;
}

}  // namespace penstock::router
