#include "router_service/learning/text/spread_calibration.h"

#include <algorithm>
#include <cmath>

#include "router_service/quality/hashed_linear_quality.h"

namespace penstock::router {
namespace {

// Order is never turned around, and never lost.
constexpr double kLeastFactor = 0.05, kMostFactor = 20;

}  // namespace

SpreadCalibration SpreadCalibration::Of(absl::Span<const float> predictions,
                                        absl::Span<const float> labels, size_t experts) {
  SpreadCalibration result;
  const size_t rows = experts == 0 ? 0 : predictions.size() / experts;
  for (size_t e = 0; e < experts; ++e) {
    double right = 0, said = 0, count = 0;
    for (size_t at = e * rows; at < (e + 1) * rows; ++at) {
      if (std::isnan(labels[at])) continue;
      right += labels[at];
      said += predictions[at];
      count += 1;
    }
    result.label_mean.push_back(count > 0 ? right / count : 0.5);
    result.prediction_mean.push_back(count > 0 ? said / count : 0.5);
  }
  double cc = 1, dd = 1, cd = 0, cy = 1, dy = 1;  // the pseudo-observation says 1 and 1
  for (size_t row = 0; row < rows; ++row) {
    double common = 0;
    for (size_t e = 0; e < experts; ++e) {
      common += predictions[e * rows + row] - result.prediction_mean[e];
    }
    common /= static_cast<double>(experts);
    for (size_t e = 0; e < experts; ++e) {
      const float label = labels[e * rows + row];
      if (std::isnan(label)) continue;
      const double own = predictions[e * rows + row] - result.prediction_mean[e] - common;
      const double y = label - result.label_mean[e];
      cc += common * common;
      dd += own * own;
      cd += common * own;
      cy += common * y;
      dy += own * y;
    }
  }
  const double determinant = cc * dd - cd * cd;
  if (determinant > 0) {
    result.common = std::clamp((cy * dd - dy * cd) / determinant, kLeastFactor, kMostFactor);
    result.own = std::clamp((dy * cc - cy * cd) / determinant, kLeastFactor, kMostFactor);
  }
  return result;
}

std::vector<float> SpreadCalibration::Apply(absl::Span<const float> predictions) const {
  const size_t experts = label_mean.size();
  const size_t rows = experts == 0 ? 0 : predictions.size() / experts;
  constexpr double kLeast = HashedLinearQuality::kLeast;
  std::vector<float> result(predictions.size());
  for (size_t row = 0; row < rows; ++row) {
    double mean = 0;
    for (size_t e = 0; e < experts; ++e) mean += predictions[e * rows + row] - prediction_mean[e];
    mean /= static_cast<double>(experts);
    for (size_t e = 0; e < experts; ++e) {
      const double deviation = predictions[e * rows + row] - prediction_mean[e] - mean;
      result[e * rows + row] = static_cast<float>(
          std::clamp(label_mean[e] + common * mean + own * deviation, kLeast, 1 - kLeast));
    }
  }
  return result;
}

void SpreadCalibration::Fold(absl::Span<float> weights) const {
  double mean = 0;
  for (const float weight : weights) mean += weight;
  mean /= static_cast<double>(weights.size());
  for (float& weight : weights) {
    weight = static_cast<float>(common * mean + own * (weight - mean));
  }
}

std::vector<double> SpreadCalibration::FoldedMean(absl::Span<const double> intercepts) const {
  std::vector<double> off;
  double mean = 0;
  for (size_t e = 0; e < intercepts.size(); ++e) {
    off.push_back(intercepts[e] - prediction_mean[e]);
    mean += off.back() / static_cast<double>(intercepts.size());
  }
  for (size_t e = 0; e < off.size(); ++e) {
    off[e] = label_mean[e] + common * mean + own * (off[e] - mean);
  }
  return off;
}

}  // namespace penstock::router
