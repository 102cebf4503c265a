#include "router_service/selection/first_answer.h"

#include <algorithm>

namespace penstock::router {

bool SelectFirst(Selector& selector, const CandidateColumns& candidates,
                 const SelectionLimits& limits, std::optional<uint32_t> first,
                 absl::Span<Exclusion> excluded, SelectionResult& result) {
  const bool cascade = first.has_value() && limits.forced.empty() &&
                       limits.objective == Objective::kQuality && limits.min_quality == 0;
  if (cascade) {
    const auto restore = [&] {
      std::copy(candidates.excluded().begin(), candidates.excluded().end(), excluded.begin());
    };
    const uint32_t forced[] = {*first};
    SelectionLimits alone = limits;
    alone.forced = forced;
    alone.degrade = false;
    alone.headroom_j = SelectionLimits::kNone;
    restore();
    selector.Select(candidates, alone, excluded, result);
    restore();
    if (result.verdict == SelectionVerdict::kChosen) return true;
  }
  selector.Select(candidates, limits, excluded, result);
  return false;
}

}  // namespace penstock::router
