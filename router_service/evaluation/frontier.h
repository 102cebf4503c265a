#pragma once

#include <vector>

#include "absl/types/span.h"

namespace penstock::router {

// What a way of routing costs and gives, as means over the requests.
struct OperatingPoint {
  double cost = 0;
  double quality = 0;
};

// The upper concave, non-decreasing hull of the points, by rising cost: what random mixtures of
// them reach ("non-decreasing convex hull" of RouterBench, Hu et al. 2024, arXiv:2403.12031). It
// begins at the cheapest point and ends at the best one; points with an entry that is not finite
// are left out.
std::vector<OperatingPoint> Frontier(absl::Span<const OperatingPoint> points);

// Quality of a frontier at a mean cost: linear between its points, flat beyond its end. NaN before
// its beginning, and for an empty one.
double QualityAtCost(absl::Span<const OperatingPoint> frontier, double cost);

// Least mean cost at which a frontier gives `quality`; NaN where it never does.
double CostAtQuality(absl::Span<const OperatingPoint> frontier, double quality);

// Average improvement in quality: the mean height of a frontier over [cheapest, dearest], the mean
// costs of the cheapest and the dearest single model. Requires cheapest < dearest and a frontier
// that begins at `cheapest` or before it.
double Aiq(absl::Span<const OperatingPoint> frontier, double cheapest, double dearest);

}  // namespace penstock::router
