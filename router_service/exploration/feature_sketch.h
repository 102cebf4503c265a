#pragma once

#include <cstddef>
#include <vector>

#include "router_service/features/feature_view.h"

namespace penstock::router {

// A short vector of what a request looks like: a 1 first, then the features, hashed into dimension
// - 1 entries with random signs and scaled to length 1 (Weinberger et al. 2009, arXiv:0902.2206).
// Features that are unknown, or all 0, leave the 1 alone. `dimension` is at least 1.
void SketchFeatures(const FeatureView& z, size_t dimension, std::vector<double>& sketch);

}  // namespace penstock::router
