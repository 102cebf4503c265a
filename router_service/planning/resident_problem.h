#pragma once

#include <cstddef>
#include <vector>

#include "router_service/planning/resident_planner.h"
#include "router_service/planning/set_problem.h"

namespace penstock::router {

// PlanResidents' problem. For any price p >= 0 and thresholds t_x >= 0
//   V(S) <= mean of k t_x + p watts / rate
//           + sum over i in S of (mean max(0, v_i(x) - p a_i(x) - t_x) - p idle_i / rate):
// facility location where opening an expert costs its idle watts at the price of a joule.
class ResidentProblem final : public SetProblem {
 public:
  explicit ResidentProblem(const ResidentRequest& request);  // outlives the problem

  struct Spending {
    double value = 0;  // of the Lagrangian without its budget term
    double joules = 0;
    std::vector<double> share;
  };
  // The requests' choices among `set` at a price, on average.
  Spending At(const ExpertSet& set, double price) const;
  // The price at which `set` spends what its idle watts leave, to 1e-9 of the largest sensible one.
  double BestPrice(const ExpertSet& set, double* value) const;
  double IdleWatts(const ExpertSet& set) const;

  size_t experts() const override { return request_.experts; }
  bool Feasible(const ExpertSet& set) const override { return IdleWatts(set) <= request_.watts; }
  double Value(const ExpertSet& set) override;
  bool Monotone() const override { return false; }
  std::vector<SetRow> Rows(const SetBox& box) const override;
  SetBound BoundAt(const std::vector<double>& share) override;
  ExpertSet Improve(const SetBox& box, const ExpertSet& start) override;

 private:
  double Budget(const ExpertSet& set) const;
  // What the bound at a fractional set comes to at a price.
  double FractionalValue(const std::vector<double>& share, double price,
                         std::vector<double>* thresholds) const;
  // Takes the first neighbour (one more, one fewer, one exchanged) that is better.
  bool Step(const SetBox& box, ExpertSet& set, double& value) const;

  const ResidentRequest& request_;
  // [rows, experts]: choices are made row by row.
  std::vector<double> values_, joules_;
  double highest_price_ = 0;
  double price_ = 0;  // where the last bound was tightest
};

}  // namespace penstock::router
