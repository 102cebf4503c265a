#include "router_service/dispatch/explain/logged_features.h"

namespace penstock::router {

std::unique_ptr<v1::Features> LoggedFeatures(const FeatureExtractor& extractor,
                                             const FeatureBuffer& z) {
  if (!z.finite) return nullptr;
  auto features = std::make_unique<v1::Features>();
  const size_t sparse = extractor.sparse_dimension();
  features->set_dimension(static_cast<uint32_t>(sparse + extractor.dimension()));
  if (sparse > 0) {
    features->mutable_indices()->Add(z.indices.begin(), z.indices.end());
    for (size_t j = 0; j < z.dense.size(); ++j) {
      features->add_indices(static_cast<uint32_t>(sparse + j));
    }
    features->mutable_values()->Add(z.values.begin(), z.values.end());
  }
  features->mutable_values()->Add(z.dense.begin(), z.dense.end());
  return features;
}

}  // namespace penstock::router
