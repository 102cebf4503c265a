#include "router_service/quality/learned/two_layer_scorer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace penstock::router {

void TwoLayerScorer::Hidden(const TwoLayerWeights& weights, absl::Span<const uint32_t> columns,
                            absl::Span<const float> values, std::vector<float>& hidden) {
  const size_t width = weights.hidden;
  hidden.assign(weights.bias.begin(), weights.bias.end());
  hidden.push_back(1);
  float* __restrict to = hidden.data();
  for (size_t i = 0; i < columns.size(); ++i) {
    const float value = values[i];
    const float* __restrict from = weights.input.data() + columns[i] * width;
    for (size_t k = 0; k < width; ++k) to[k] += value * from[k];
  }
  if (!weights.rectified) return;
  for (size_t k = 0; k < width; ++k) to[k] = std::max(to[k], 0.0f);
}

void TwoLayerScorer::Score(absl::Span<const uint32_t> columns, absl::Span<const float> values,
                           LogitScores& scores) const {
  const size_t width = parameters_.weights.hidden + 1;
  thread_local std::vector<float> hidden;
  Hidden(parameters_.weights, columns, values, hidden);
  double variance = 0;
  for (size_t k = 0; k < width; ++k) {
    if (hidden[k] == 0) continue;
    const float* row = parameters_.covariance.data() + k * width;
    float sum = 0;
    for (size_t m = 0; m < width; ++m) sum += row[m] * hidden[m];
    variance += static_cast<double>(sum) * hidden[k];
  }
  variance = std::max(variance, 0.0);
  scores.logit.assign(experts(), 0.0f);
  scores.deviation.assign(experts(), 0.0f);
  scores.work.assign(experts(), 1.0f);
  for (size_t e = 0; e < experts(); ++e) {
    const float* weight = parameters_.weights.output.data() + e * width;
    float sum = 0;
    for (size_t k = 0; k < width; ++k) sum += weight[k] * hidden[k];
    scores.logit[e] = sum;
    scores.deviation[e] = static_cast<float>(std::sqrt(variance / parameters_.curvature[e]));
  }
  if (parameters_.length.empty()) return;
  std::copy(parameters_.length_mean.begin(), parameters_.length_mean.end(), scores.work.begin());
  float* __restrict work = scores.work.data();
  for (size_t i = 0; i < columns.size(); ++i) {
    const float* __restrict from = parameters_.length.data() + columns[i] * experts();
    for (size_t e = 0; e < experts(); ++e) work[e] += values[i] * from[e];
  }
  for (float& length : scores.work) length = std::exp(length);
}

void TwoLayerScorer::AppendTo(std::vector<SafetensorsTensor>& tensors,
                              std::map<std::string, std::string>&) const {
  const TwoLayerWeights& weights = parameters_.weights;
  const int64_t hidden = static_cast<int64_t>(weights.hidden);
  const int64_t all = static_cast<int64_t>(experts());
  tensors.push_back(
      {"input", {static_cast<int64_t>(weights.input.size()) / hidden, hidden}, weights.input});
  tensors.push_back({"bias", {hidden}, weights.bias});
  tensors.push_back({"output", {all, hidden + 1}, weights.output});
  tensors.push_back({"covariance", {hidden + 1, hidden + 1}, parameters_.covariance});
  tensors.push_back({"curvature", {all}, parameters_.curvature});
  if (parameters_.length.empty()) return;
  tensors.push_back(
      {"length", {static_cast<int64_t>(parameters_.length.size()) / all, all}, parameters_.length});
  tensors.push_back({"length_mean", {all}, parameters_.length_mean});
}

absl::StatusOr<std::unique_ptr<const LogitScorer>> TwoLayerScorer::FromTensors(
    const Safetensors& file, const std::string& path, size_t columns, size_t experts,
    bool rectified) {
  const int64_t all = static_cast<int64_t>(experts);
  Parameters parameters;
  TwoLayerWeights& weights = parameters.weights;
  weights.rectified = rectified;
  PENSTOCK_ASSIGN_OR_RETURN(weights.bias, file.Floats("bias", {-1}));
  weights.hidden = weights.bias.size();
  const int64_t hidden = static_cast<int64_t>(weights.hidden);
  PENSTOCK_ASSIGN_OR_RETURN(weights.input,
                            file.Floats("input", {static_cast<int64_t>(columns), hidden}));
  PENSTOCK_ASSIGN_OR_RETURN(weights.output, file.Floats("output", {all, hidden + 1}));
  PENSTOCK_ASSIGN_OR_RETURN(parameters.covariance,
                            file.Floats("covariance", {hidden + 1, hidden + 1}));
  PENSTOCK_ASSIGN_OR_RETURN(parameters.curvature, file.Floats("curvature", {all}));
  if (file.Find("length") != nullptr) {
    PENSTOCK_ASSIGN_OR_RETURN(parameters.length,
                              file.Floats("length", {static_cast<int64_t>(columns), all}));
    PENSTOCK_ASSIGN_OR_RETURN(parameters.length_mean, file.Floats("length_mean", {all}));
  }
  const auto finite = [](float value) { return std::isfinite(value); };
  for (const auto* values : {&weights.input, &weights.bias, &weights.output, &parameters.covariance,
                             &parameters.length, &parameters.length_mean}) {
    if (!std::all_of(values->begin(), values->end(), finite)) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": has weights that are not finite"));
    }
  }
  for (const float value : parameters.curvature) {
    if (value > 0 && std::isfinite(value)) continue;
    return absl::InvalidArgumentError(absl::StrCat(path, ": curvature is not above 0"));
  }
  return std::make_unique<const TwoLayerScorer>(std::move(parameters));
}

}  // namespace penstock::router
