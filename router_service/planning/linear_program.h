#pragma once

#include <cstddef>
#include <vector>

namespace penstock::router {

// max objective . x  subject to  row_j . x <= limit_j,  x >= 0,  with every limit >= 0.
struct LinearProgram {
  std::vector<double> objective;
  std::vector<std::vector<double>> rows;
  std::vector<double> limits;
};

struct LinearSolution {
  std::vector<double> x;
  std::vector<double> price;  // of each row, not below 0: what one unit more of its limit is worth
  double value = 0;
  bool optimal = false;  // false: unbounded, or stopped after too many pivots
};

// Dense primal simplex for a few dozen variables; deterministic. Largest coefficient first, then
// the least index where that stalls (Bland: New finite pivoting rules for the simplex method, Math.
// Oper. Res. 2, 1977).
LinearSolution SolveLinearProgram(const LinearProgram& program);

}  // namespace penstock::router
