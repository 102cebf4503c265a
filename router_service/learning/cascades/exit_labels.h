#pragma once

#include <cstddef>
#include <vector>

#include "absl/types/span.h"

namespace penstock::router {

// The stage at which one request should leave: argmin over stages of loss + tradeoff * cumulative
// cost, ties to the earlier one. `cumulative_cost` ends in 1.
size_t BestExit(absl::Span<const float> loss, absl::Span<const double> cumulative_cost,
                double tradeoff);

// Sums of `cost` from the first stage on, over the sum of all.
std::vector<double> CumulativeCost(absl::Span<const double> cost);

// sigma(w . x + b) by binary cross-entropy whose positives weigh `positive_weight`; w then b, for x
// as it is. Where every label is alike, the constant (positives + 1/2) / (labels + 1).
std::vector<float> FitWeightedLogistic(absl::Span<const double> x, size_t dimension,
                                       absl::Span<const int> labels, double positive_weight);

}  // namespace penstock::router
