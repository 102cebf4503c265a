#include "router_service/dispatch/choice/quality_forgone.h"

#include <algorithm>

namespace penstock::router {
namespace {

// Whether only budgets, if anything, keep the expert from answering alone.
bool FitsRequest(const SelectionCandidate& expert, Exclusion excluded,
                 const SelectionLimits& limits) {
  const bool may_run = excluded == Exclusion::kNone || excluded == Exclusion::kBudget ||
                       excluded == Exclusion::kLargestAnswer;
  return may_run && expert.latency_s <= limits.time_left_s &&
         expert.energy_j <= limits.energy_cap_j && expert.quality >= limits.min_quality;
}

}  // namespace

std::optional<double> QualityForgone(const RouteRequest& request, const ExpertChoice& choice) {
  if (!IsChosen(choice.selection) || request.objective != Objective::kQuality ||
      !request.forced.empty() || IsByMass(request.pool->config) ||
      (choice.cascade && !choice.bypassed)) {
    return std::nullopt;
  }
  const CandidateColumns& candidates = *choice.candidates;
  double chosen = 0;
  for (const SelectedExpert& expert : choice.selection.chosen) {
    chosen = std::max(chosen, candidates.quality()[expert.expert]);
  }
  double best = chosen;
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (!FitsRequest(candidates[i], choice.excluded[i], choice.limits)) continue;
    best = std::max(best, candidates.quality()[i]);
  }
  return best - chosen;
}

}  // namespace penstock::router
