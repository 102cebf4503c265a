#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "router_service/planning/expert_set.h"

namespace penstock::router {

// All sets between `in` (forced in) and `allowed`.
struct SetBox {
  ExpertSet in, allowed;
};

// value(S) <= constant + the sum over i in S of slope[i], for every set S. So do convex
// combinations of bounds.
struct SetBound {
  double constant = 0;
  std::vector<double> slope;  // [experts]
};

// sum of weight[i] over i in S <= limit, for every feasible set S.
struct SetRow {
  std::vector<double> weight;  // [experts], not below 0
  double limit = 0;
};

// Which set of experts is worth most? What SetSearch asks of a problem. Feasibility must be
// inherited by subsets, and the empty set is worth 0.
class SetProblem {
 public:
  virtual ~SetProblem() = default;
  virtual size_t experts() const = 0;
  virtual bool Feasible(const ExpertSet& set) const = 0;
  // Of a feasible set.
  virtual double Value(const ExpertSet& set) = 0;
  // Adding an expert never lowers the value.
  virtual bool Monotone() const = 0;
  // What holds for the feasible sets of a box.
  virtual std::vector<SetRow> Rows(const SetBox& box) const = 0;
  // A bound for all sets that is tight near the fractional set `share` ([experts], in [0, 1]).
  virtual SetBound BoundAt(const std::vector<double>& share) = 0;
  // A good feasible set of the box, from the feasible `start` in it.
  virtual ExpertSet Improve(const SetBox& box, const ExpertSet& start) = 0;
};

}  // namespace penstock::router
