#pragma once

#include <utility>
#include <vector>

#include "router_service/quality/quality_model.h"

namespace penstock::router {

// The experts' own figures, whatever the request.
class ConstantQuality final : public QualityModel {
 public:
  // From `quality` of the pool's experts; 0.5 where unset.
  static absl::StatusOr<std::unique_ptr<const QualityModel>> Create(const config::v1::Pool& pool);
  explicit ConstantQuality(std::vector<float> quality) : quality_(std::move(quality)) {}

  size_t experts() const override { return quality_.size(); }
  size_t dimension() const override { return 0; }
  void Predict(const FeatureView& z, const QualityPrediction& prediction) const override;

 private:
  const std::vector<float> quality_;
};

}  // namespace penstock::router
