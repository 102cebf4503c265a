#include "router_service/dispatch/batch/batch_choice.h"

#include <algorithm>

namespace penstock::router {

bool MayWait(const RouteRequest& request, const ExpertChoice& choice, const BatchWindow& window,
             absl::Time now) {
  const SelectionResult& selection = choice.selection;
  if (choice.limits.max_experts != 1 || choice.cascade || choice.explored ||
      !request.forced.empty() || request.objective != Objective::kQuality ||
      selection.verdict != SelectionVerdict::kChosen) {
    return false;
  }
  if (std::count(choice.excluded.begin(), choice.excluded.end(), Exclusion::kNone) < 2) {
    return false;
  }
  // Whoever is assigned is in time: the others were excluded.
  double slowest = 0;
  for (size_t i = 0; i < choice.excluded.size(); ++i) {
    if (choice.excluded[i] != Exclusion::kNone) continue;
    slowest = std::max(slowest, choice.candidates->latency_s()[i]);
  }
  if (slowest + absl::ToDoubleSeconds(window.window()) > choice.limits.time_left_s) return false;
  return window.Busy(choice.load != nullptr ? choice.load->load : ReadPoolLoad(*request.pool, now));
}

std::vector<double> WorthTogether(const ExpertChoice& choice) {
  const CandidateColumns& candidates = *choice.candidates;
  std::vector<double> worth(candidates.size(), BatchProblem::kInadmissible);
  for (size_t i = 0; i < worth.size(); ++i) {
    if (choice.excluded[i] != Exclusion::kNone) continue;
    worth[i] = choice.limits.value * candidates.score()[i] -
               choice.limits.price_per_joule * candidates.energy_j()[i];
  }
  return worth;
}

void AssignTogether(size_t expert, size_t together, ExpertChoice& choice) {
  if (choice.selection.chosen[0].expert != expert) ChooseInstead(expert, choice);
  choice.propensity.reset();
  choice.assigned_together = together;
}

}  // namespace penstock::router
