#pragma once

#include <cstddef>
#include <vector>

#include "router_service/planning/set_problem.h"

namespace penstock::router {

// What a pool of bounds leaves to the sets of a box, found by linear programming over fractional
// sets (Kelley: The cutting-plane method for solving convex programs, J. SIAM 8, 1960).
class SetRelaxation {
 public:
  explicit SetRelaxation(SetProblem& problem) : problem_(problem) {}

  struct Result {
    double value = 0;           // no feasible set of the box is worth more
    std::vector<double> share;  // the fractional set that would be, [experts]
    SetBound bound;             // a combination of the pool's that proves it
  };

  // The bound at `share` joins the pool. The value that it gives `share` is returned: that of the
  // fractional set itself.
  double Add(const std::vector<double>& share);
  Result Solve(const SetBox& box);
  // As Solve, after up to `rounds` new bounds, while they lower the value and it is above `enough`.
  Result Tighten(const SetBox& box, size_t rounds, double enough);

  // The largest value of `bound` over fractional sets of the box within `rows`, one row at a time.
  static double Largest(const SetBound& bound, const SetBox& box, const std::vector<SetRow>& rows);

 private:
  void Forget();

  SetProblem& problem_;
  std::vector<SetBound> pool_;
  std::vector<size_t> last_used_;
  size_t solves_ = 0;
};

}  // namespace penstock::router
