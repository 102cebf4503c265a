#pragma once

#include <string>
#include <vector>

#include "common/tensors/safetensors.h"
#include "kernels/linear/linear.h"
#include "router_service/quality/quality_model.h"

namespace penstock::router {

// p_i = sigma(w_i z + b_i), one logistic head per expert. Standardisation of z and calibration
// about each expert's mean are folded into w and b by `penstock train`. Where the file tells how
// the features spread, the uncertainty is that of a logistic regression whose features do not
// correlate,
//   sd(p_i) = p_i (1 - p_i) sqrt((1/n + sum_j (z_j - m_j)^2 / (S_j + 1)) / curvature_i),
// with m_j and S_j the mean and the sum of squares about it over the n rows, and curvature_i =
// q_i (1 - q_i) at the expert's mean, times the share of the rows that tell of it; else 0.
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
  std::vector<float> feature_mean_;       // [dimension], or empty: no uncertainty is known
  std::vector<float> inverse_spread_;     // [dimension], 1 / (S + 1)
  std::vector<float> inverse_curvature_;  // [experts]
  float inverse_rows_ = 0;
};

}  // namespace penstock::router
