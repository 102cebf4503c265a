#include "router_service/planning/linear_program.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace penstock::router {
namespace {

constexpr double kZero = 1e-11;
// Pivots by largest coefficient before the rule that cannot cycle takes over.
constexpr size_t kPatience = 400;
constexpr size_t kMostPivots = 4000;

}  // namespace

LinearSolution SolveLinearProgram(const LinearProgram& program) {
  const size_t n = program.objective.size();
  const size_t m = program.rows.size();
  const size_t width = n + 1;
  // Condensed tableau: one row a basic variable, one column a non-basic one, the limits last; the
  // objective's row is the last and holds what increasing a column's variable gains.
  std::vector<double> table((m + 1) * width);
  for (size_t j = 0; j < m; ++j) {
    std::copy(program.rows[j].begin(), program.rows[j].end(),
              table.begin() + static_cast<std::ptrdiff_t>(j * width));
    table[j * width + n] = program.limits[j];
  }
  std::copy(program.objective.begin(), program.objective.end(),
            table.begin() + static_cast<std::ptrdiff_t>(m * width));
  // Variables: x is 0 to n - 1, the slack of row j is n + j.
  std::vector<size_t> column(n), basic(m);
  for (size_t i = 0; i < n; ++i) column[i] = i;
  for (size_t j = 0; j < m; ++j) basic[j] = n + j;

  LinearSolution solution;
  double* gains = table.data() + m * width;
  for (size_t pivots = 0; pivots < kMostPivots; ++pivots) {
    size_t enter = n;
    for (size_t i = 0; i < n; ++i) {
      if (gains[i] <= kZero) continue;
      if (enter == n ||
          (pivots < kPatience ? gains[i] > gains[enter] : column[i] < column[enter])) {
        enter = i;
      }
    }
    if (enter == n) {
      solution.optimal = true;
      break;
    }
    size_t leave = m;
    double least = std::numeric_limits<double>::infinity();
    for (size_t j = 0; j < m; ++j) {
      const double rate = table[j * width + enter];
      if (rate <= kZero) continue;
      const double ratio = std::max(0.0, table[j * width + n]) / rate;
      if (ratio < least || (ratio == least && basic[j] < basic[leave])) {
        least = ratio;
        leave = j;
      }
    }
    if (leave == m) break;  // unbounded
    double* pivot_row = table.data() + leave * width;
    const double inverse = 1 / pivot_row[enter];
    for (size_t i = 0; i < width; ++i) pivot_row[i] *= inverse;
    pivot_row[enter] = inverse;
    for (size_t j = 0; j <= m; ++j) {
      if (j == leave) continue;
      double* row = table.data() + j * width;
      const double rate = row[enter];
      if (rate == 0) continue;
      row[enter] = 0;
      for (size_t i = 0; i < width; ++i) row[i] -= rate * pivot_row[i];
    }
    std::swap(column[enter], basic[leave]);
  }
  solution.x.assign(n, 0.0);
  solution.price.assign(m, 0.0);
  for (size_t j = 0; j < m; ++j) {
    if (basic[j] < n) solution.x[basic[j]] = std::max(0.0, table[j * width + n]);
  }
  for (size_t i = 0; i < n; ++i) {
    if (column[i] >= n) solution.price[column[i] - n] = std::max(0.0, -gains[i]);
  }
  solution.value = -gains[n];
  return solution;
}

}  // namespace penstock::router
