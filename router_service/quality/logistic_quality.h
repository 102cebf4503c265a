#pragma once

#include <string>
#include <vector>

#include "common/tensors/safetensors.h"
#include "kernels/linear/linear.h"
#include "router_service/quality/quality_model.h"

namespace penstock::router {

// p_i = sigma(w_i z + b_i), one logistic head per expert. Standardisation of z and calibration
// about each expert's mean are folded into w and b by `penstock train`.
class LogisticQuality final : public QualityModel {
 public:
  static absl::StatusOr<std::unique_ptr<const QualityModel>> Open(
      const std::string& path, const std::vector<std::string>& expert_names,
      size_t feature_dimension);
  static absl::StatusOr<std::unique_ptr<const QualityModel>> FromTensors(
      const Safetensors& file, const std::string& path,
      const std::vector<std::string>& expert_names, size_t feature_dimension);

  size_t experts() const override { return mean_.size(); }
  size_t dimension() const override { return dimension_; }
  void Predict(const FeatureView& z, const QualityPrediction& prediction) const override;

 private:
  LogisticQuality() = default;

  size_t dimension_ = 0;
  kernels::PackedLinear linear_;
  std::vector<float> mean_;
};

}  // namespace penstock::router
