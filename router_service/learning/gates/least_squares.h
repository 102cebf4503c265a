#pragma once

#include <cstddef>
#include <vector>

#include "absl/types/span.h"

namespace penstock::router {

// W [columns, outputs] that minimises |X W - Y|^2 + ridge |W|^2 for X [rows, columns] and Y [rows,
// outputs], by Householder reflections of X above sqrt(ridge) I, which do not square its condition
// number as the normal equations do: Golub and Van Loan, Matrix Computations, 5.3. ridge > 0.
std::vector<double> RidgeLeastSquares(absl::Span<const double> x, size_t columns,
                                      absl::Span<const double> y, size_t outputs, double ridge);

}  // namespace penstock::router
