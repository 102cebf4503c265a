#pragma once

#include <cstddef>
#include <vector>

#include "absl/types/span.h"

namespace penstock::router {

// One column for each row and each column once, at the least total cost [n, n]: Kuhn 1955 with the
// potentials of Jonker and Volgenant 1987, O(n^3). Costs are finite. Returns the column of each
// row.
std::vector<size_t> CheapestAssignment(absl::Span<const double> cost, size_t n);

}  // namespace penstock::router
