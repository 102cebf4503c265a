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
// nodes, after which `gap` says what may have been missed. Ties: lowest id. Where the best set
// would be one whose answers may take more than largest_j together, only experts run whose own
// answer may not; and one alone, where that set's answers still might.
//
// min_quality binds the set's quality, so for the objectives energy and latency one expert is
// always optimal: the cheapest (fastest) that reaches it.
//
// Degrade gives up first min_quality (the best quality within the limits), then joules (the fewest
// among those in time), and latency only where no expert is in time (the fastest). What headroom_j
// and largest_j do not cover is not the price of a quality that nobody reaches.
//
// The workspace is reused: no allocation once it has seen the largest pool. Not thread-safe: one
// per thread. Deterministic.
class Selector {
 public:
  static constexpr size_t kMaxExperts = 16;
  static constexpr size_t kNodeLimit = 2000;

  // `excluded`: why each expert must not run, as `candidates` has it; out: also which limit
  // excludes it alone.
  void Select(const CandidateColumns& candidates, const SelectionLimits& limits,
              absl::Span<Exclusion> excluded, SelectionResult& result);
  // The same with `excluded` of the candidates.
  void Select(absl::Span<SelectionCandidate> candidates, const SelectionLimits& limits,
              SelectionResult& result);

 private:
  // Leaves out what is not finite, and fills in the columns below and the figures for a message.
  // False: nobody is left.
  bool Screen(const CandidateColumns& candidates, const SelectionLimits& limits,
              absl::Span<Exclusion> excluded, SelectionResult& result);
  // The best set by the objective within `joules`; false: there is none.
  bool SelectWithin(const CandidateColumns& candidates, const SelectionLimits& limits,
                    double joules, double min_quality, SelectionResult& result);
  bool SelectOne(const CandidateColumns& candidates, const SelectionLimits& limits, double joules,
                 double min_quality, SelectionResult& result);
  bool SelectSeveral(const CandidateColumns& candidates, const SelectionLimits& limits, size_t k,
                     double joules, double min_quality, SelectionResult& result);
  // At most two, where the two largest terms do not fit together.
  bool SelectPair(const CandidateColumns& candidates, double joules, double min_quality);
  void SelectForced(const CandidateColumns& candidates, const SelectionLimits& limits,
                    absl::Span<Exclusion> excluded, SelectionResult& result);
  void MarkExcluded(const CandidateColumns& candidates, const SelectionLimits& limits,
                    absl::Span<Exclusion> excluded);
  // What budgets cover, instead of `result`.
  void SelectCovered(const CandidateColumns& candidates, const SelectionLimits& limits,
                     size_t spared, SelectionResult& result);
  // The cheapest of those that fit the request's own limits: it may run whatever the budgets cover.
  size_t Spared(const CandidateColumns& candidates, const SelectionLimits& limits) const;
  // An expert beyond the headroom, alone, where it is worth more than `result`; a result without
  // experts is worth nothing.
  bool OfferBeyondHeadroom(const CandidateColumns& candidates, const SelectionLimits& limits,
                           SelectionResult& result);
  void FillItems(const CandidateColumns& candidates, double joules, double min_quality,
                 double least_net);

  // [experts]: the expert's term of the objective; its joules, NaN where it cannot run in time; and 0,
  // or NaN where it cannot run at all.
  std::vector<double> net_;
  std::vector<double> joules_;
  std::vector<double> usable_;
  std::vector<SubsetItem> items_;
  std::vector<uint32_t> picked_;
  BranchAndBound branch_and_bound_;
  CandidateColumns columns_;
  std::vector<Exclusion> excluded_;
};

}  // namespace penstock::router
