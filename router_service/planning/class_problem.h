#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "router_service/planning/coverage.h"
#include "router_service/planning/set_cost.h"
#include "router_service/planning/set_problem.h"

namespace penstock::router {

// The experts of one application class: the set within joules and latency that covers most of the
// value of the k best in every request. Bounds come from the Lagrangian of the facility location
// form: for any thresholds t_x >= 0
//   F(S) <= mean of k t_x + sum over i in S of mean max(0, v_i(x) - t_x),
// with equality where t_x is the (k+1)-th largest v_i(x) in S (Cornuejols, Fisher and Nemhauser:
// Location of bank accounts to optimize float, Management Science 23, 1977). Not thread-safe.
class ClassProblem final : public SetProblem {
 public:
  // Both outlive the problem and have the same experts.
  ClassProblem(const Coverage& coverage, const SetCost& cost);

  size_t experts() const override { return coverage_.experts(); }
  bool Feasible(const ExpertSet& set) const override { return cost_.Fits(set); }
  double Value(const ExpertSet& set) override;
  bool Monotone() const override { return true; }
  std::vector<SetRow> Rows(const SetBox& box) const override;
  SetBound BoundAt(const std::vector<double>& share) override;
  ExpertSet Improve(const SetBox& box, const ExpertSet& start) override;

 private:
  enum class Greedy { kGain, kGainPerJoule };

  ExpertSet AddGreedily(const SetBox& box, const ExpertSet& start, Greedy by);
  // The best exchange of one member for another, and additions after it, while that helps.
  ExpertSet Exchange(const SetBox& box, ExpertSet set);

  const Coverage& coverage_;
  const SetCost& cost_;
  const double per_row_;
  TopLevels top_;
  // Of every row, its experts by descending value.
  struct Ranked {
    uint32_t expert = 0;
    double value = 0;
  };
  std::vector<Ranked> order_;
  std::vector<size_t> ends_;  // [rows]
};

}  // namespace penstock::router
