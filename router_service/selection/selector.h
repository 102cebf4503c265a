#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "router_service/selection/branch_and_bound.h"
#include "router_service/selection/selection.h"

namespace penstock::router {

// At most k experts with the largest sum of value * score - price * joules, where every latency
// fits the time left (they run in parallel) and the sum of joules fits cap and headroom. An expert
// beyond the first joins only if its own term is positive. Exact: by enumeration for k <= 2, for
// more by depth-first branch and bound under Lagrangian bounds of the joule limit, up to kNodeLimit
// nodes, after which `gap` says what may have been missed. Ties: lowest id.
//
// min_quality binds the set's quality, so for the objectives energy and latency one expert is
// always optimal: the cheapest (fastest) that reaches it.
//
// Degrade gives up first min_quality (the best quality within the limits), then joules (the fewest
// among those in time), and latency only where no expert is in time (the fastest).
//
// The workspace is reused: no allocation once it has seen the largest pool. Not thread-safe: one
// per thread. Deterministic.
class Selector {
 public:
  static constexpr size_t kMaxExperts = 16;
  static constexpr size_t kNodeLimit = 2000;

  // Fills in `excluded` of the candidates.
  void Select(absl::Span<SelectionCandidate> candidates, const SelectionLimits& limits,
              SelectionResult& result);

 private:
  // The best set by the objective within `joules`; false: there is none.
  bool SelectWithin(absl::Span<const SelectionCandidate> candidates, const SelectionLimits& limits,
                    double joules, double min_quality, SelectionResult& result);
  bool SelectOne(absl::Span<const SelectionCandidate> candidates, const SelectionLimits& limits,
                 double joules, double min_quality, SelectionResult& result);
  bool SelectSeveral(absl::Span<const SelectionCandidate> candidates, const SelectionLimits& limits,
                     size_t k, double joules, double min_quality, SelectionResult& result);
  void SelectForced(absl::Span<SelectionCandidate> candidates, const SelectionLimits& limits,
                    SelectionResult& result);

  std::vector<SubsetItem> items_;
  std::vector<uint32_t> picked_;
  BranchAndBound branch_and_bound_;
};

}  // namespace penstock::router
