#pragma once

#include <cstddef>
#include <vector>

#include "absl/types/span.h"

namespace penstock::router {

// How many experts a top-k gate must run so that redundant experts do not crowd out distinct ones:
// the sum of the `distinct_active` largest cells, a cell being the experts that behave alike. After
// the Voronoi-cell condition of Nguyen et al., Statistical Perspective of Top-K Sparse Softmax
// Gating Mixture of Experts, arXiv:2309.13850.
size_t MinimumK(absl::Span<const size_t> cell_sizes, size_t distinct_active);

// Cells of experts whose answers agree on more than `threshold` of the requests, transitively.
// `agreement` [experts, experts] is symmetric. Returns the cell of each expert, numbered from 0 in
// order of first appearance.
std::vector<size_t> BehaviourCells(size_t experts, absl::Span<const double> agreement,
                                   double threshold = 0.9);

}  // namespace penstock::router
