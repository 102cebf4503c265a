#include "router_service/learning/gates/assignment.h"

#include <limits>

namespace penstock::router {

std::vector<size_t> CheapestAssignment(absl::Span<const double> cost, size_t n) {
  // Rows and columns count from 1; column 0 holds the row that is being placed.
  std::vector<double> row_price(n + 1, 0.0), column_price(n + 1, 0.0);
  std::vector<size_t> row_of(n + 1, 0), before(n + 1, 0);
  for (size_t row = 1; row <= n; ++row) {
    row_of[0] = row;
    size_t column = 0;
    std::vector<double> slack(n + 1, std::numeric_limits<double>::infinity());
    std::vector<bool> visited(n + 1, false);
    // The shortest alternating path from `row` to a column that is free.
    while (row_of[column] != 0) {
      visited[column] = true;
      const size_t at = row_of[column];
      double least = std::numeric_limits<double>::infinity();
      size_t next = 0;
      for (size_t j = 1; j <= n; ++j) {
        if (visited[j]) continue;
        const double reduced = cost[(at - 1) * n + j - 1] - row_price[at] - column_price[j];
        if (reduced < slack[j]) {
          slack[j] = reduced;
          before[j] = column;
        }
        if (slack[j] < least) {
          least = slack[j];
          next = j;
        }
      }
      for (size_t j = 0; j <= n; ++j) {
        if (visited[j]) {
          row_price[row_of[j]] += least;
          column_price[j] -= least;
        } else {
          slack[j] -= least;
        }
      }
      column = next;
    }
    for (; column != 0; column = before[column]) row_of[column] = row_of[before[column]];
  }
  std::vector<size_t> column_of(n, 0);
  for (size_t j = 1; j <= n; ++j) column_of[row_of[j] - 1] = j - 1;
  return column_of;
}

}  // namespace penstock::router
