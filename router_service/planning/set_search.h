#pragma once

#include <cstddef>
#include <optional>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/time/clock.h"
#include "router_service/planning/set_problem.h"

namespace penstock::router {

struct SetSearchLimits {
  // A set this much better than the one found may be missed; 0: exact, up to rounding.
  double tolerance = 0;
  size_t nodes = 100000;
  // Read off the clock between nodes: a search that ends by it may end elsewhere the next time.
  absl::Duration time = absl::Milliseconds(200);
};

enum class SearchEnd { kProven, kNodeLimit, kTimeLimit };
absl::string_view SearchEndName(SearchEnd end);  // "proven", "node limit", "time limit"

struct SetSearchResult {
  ExpertSet best;
  double value = 0;
  double bound = 0;  // no set is worth more
  size_t nodes = 0;
  SearchEnd end = SearchEnd::kProven;

  double gap() const { return bound - value; }
};

// Best-first branch, reduce and bound over boxes of sets, after the discrete monotonic optimisation
// of Tuy, Minoux and Hoai-Phuong (Discrete monotonic optimization with application to a discrete
// location problem, SIAM J. Optim. 17, 2006): cuts reduce a box before it is branched. The bounds
// here are linear functions of the set, so a node costs microseconds once a few are known, and they
// also decide which experts a box can do without and which it cannot.
//
// `root.in` must be feasible. The result holds whenever the search ends: value <= optimum <= bound.
SetSearchResult SearchSets(SetProblem& problem, const SetBox& root,
                           const std::optional<ExpertSet>& warm_start,
                           const SetSearchLimits& limits, const Clock& clock);

}  // namespace penstock::router
