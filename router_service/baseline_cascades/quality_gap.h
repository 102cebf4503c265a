#pragma once

#include <cstddef>
#include <vector>

#include "absl/types/span.h"

namespace penstock::router {

// HybridLLM's labels (Ding et al. 2024, arXiv:2404.14618): with the gap H = q(small) - q(large) of
// sampled answers, y_t = P(H >= -t) of each request. gaps [rows, samples].
std::vector<float> GapLabels(absl::Span<const float> gaps, size_t samples, double tolerance);

// Mean |y - y'| over all pairs of requests: labels that are all alike teach nothing.
double LabelSpread(std::vector<float> labels);

// The tolerance t >= 0 of the widest spread among 0 and the sizes of the negative gaps; the least
// one of equals.
double WidestTolerance(absl::Span<const float> gaps, size_t samples);

}  // namespace penstock::router
