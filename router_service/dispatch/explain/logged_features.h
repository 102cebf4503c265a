#pragma once

#include <memory>

#include "penstock/v1/routing.pb.h"
#include "router_service/features/feature_extractor.h"

namespace penstock::router {

// z as the decision log's file holds it: a dense part alone in full; of a sparse part its entries,
// with the dense ones after it, from index sparse_dimension() on. Null where an entry is not
// finite.
std::unique_ptr<v1::Features> LoggedFeatures(const FeatureExtractor& extractor,
                                             const FeatureBuffer& z);

}  // namespace penstock::router
