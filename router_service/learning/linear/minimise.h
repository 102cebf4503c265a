#pragma once

#include <functional>
#include <vector>

namespace penstock::router {

struct MinimiseOptions {
  int max_iterations = 200;
  // Stops when the gradient's norm is below this share of max(1, norm of x), or when a step gains
  // less than 1e-9 of the value.
  double tolerance = 1e-5;
};

// Minimises a smooth convex function from `x` on by L-BFGS (ten pairs; Nocedal and Wright,
// Numerical Optimization, algorithm 7.4) with a line search for the weak Wolfe conditions. `f`
// returns the value and fills the gradient. Returns the value reached. Deterministic.
using Objective =
    std::function<double(const std::vector<double>& x, std::vector<double>& gradient)>;
double Minimise(const Objective& f, std::vector<double>& x, const MinimiseOptions& options = {});

}  // namespace penstock::router
