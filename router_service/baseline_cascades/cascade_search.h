#pragma once

#include <cstddef>
#include <vector>

#include "absl/types/span.h"

namespace penstock::router {

// Recorded outcomes of every expert at every request, [experts, rows], borrowed. `score` is what a
// scorer thinks of the expert's answer once it has been seen.
struct ScoredOutcomes {
  size_t experts = 0;
  size_t rows = 0;
  absl::Span<const float> quality;
  absl::Span<const float> cost;
  absl::Span<const float> score;

  size_t At(size_t expert, size_t row) const { return expert * rows + row; }
};

// Experts asked in turn until a score reaches its stage's threshold; the last one's answer stands.
struct CascadePlan {
  std::vector<size_t> chain;
  std::vector<float> accept_from;  // [chain - 1]
  // Means on the requests it was searched on, every call of a request counted.
  double cost = 0;
  double quality = 0;
};

struct CascadeOutcome {
  float quality = 0;
  float cost = 0;  // of all stages that ran
  size_t stages = 0;
};

CascadeOutcome RunCascade(const CascadePlan& plan, const ScoredOutcomes& outcomes, size_t row);

struct CascadeSearchOptions {
  size_t depth = 3;  // at most 3
  // Acceptance shares tried at a stage: 1/grid ... (grid-1)/grid of the requests that reach it.
  size_t grid = 40;
};

// The chain and thresholds of best mean quality at a mean cost within each budget (FrugalGPT: Chen,
// Zaharia, Zou 2023, arXiv:2305.05176): all ordered chains, thresholds as acceptance shares that do
// not fall along the chain, the grid without the later simplex refinement. A budget below every
// single expert's cost gets the cheapest expert alone. Ties go to the plan found first: shorter
// chains, lower experts.
std::vector<CascadePlan> SearchCascades(const ScoredOutcomes& outcomes,
                                        absl::Span<const double> budgets,
                                        const CascadeSearchOptions& options);

}  // namespace penstock::router
