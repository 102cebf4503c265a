#include "router_service/quality/logistic_quality.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "router_service/gating/expert_columns.h"
#include "router_service/quality/artifact_checksum.h"

namespace penstock::router {

absl::StatusOr<std::unique_ptr<const QualityModel>> LogisticQuality::Open(
    const std::string& path, const std::vector<std::string>& expert_names,
    size_t feature_dimension) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::shared_ptr<const Safetensors> file, Safetensors::Open(path));
  return FromTensors(*file, path, expert_names, feature_dimension);
}

absl::StatusOr<std::unique_ptr<const QualityModel>> LogisticQuality::FromTensors(
    const Safetensors& file, const std::string& path, const std::vector<std::string>& expert_names,
    size_t feature_dimension) {
  PENSTOCK_RETURN_IF_ERROR(CheckArtifactChecksum(file, path));
  PENSTOCK_ASSIGN_OR_RETURN(const LinearColumns columns,
                            ReadLinearColumns(file, path, expert_names, feature_dimension));
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<float> mean,
                            file.Floats("mean", {static_cast<int64_t>(columns.file_experts)}));
  auto model = absl::WrapUnique(new LogisticQuality());
  model->dimension_ = feature_dimension;
  model->linear_ = kernels::PackedLinear(columns.weight.data(), columns.bias.data(),
                                         static_cast<int64_t>(feature_dimension),
                                         static_cast<int64_t>(expert_names.size()));
  for (const size_t column : columns.columns) {
    if (!(mean[column] >= 0 && mean[column] <= 1)) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": mean of expert ", column, " is ",
                                                     mean[column], ", wanted a number in [0, 1]"));
    }
    model->mean_.push_back(mean[column]);
  }
  if (file.Find("feature_mean") == nullptr) {
    return std::unique_ptr<const QualityModel>(std::move(model));
  }
  const int64_t width = static_cast<int64_t>(feature_dimension);
  PENSTOCK_ASSIGN_OR_RETURN(model->feature_mean_, file.Floats("feature_mean", {width}));
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<float> squares,
                            file.Floats("feature_squares", {width}));
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<float> rows, file.Floats("rows", {1}));
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<float> curvature,
                            file.Floats("curvature", {static_cast<int64_t>(columns.file_experts)}));
  bool sound = rows[0] >= 1;
  model->inverse_rows_ = 1 / rows[0];
  for (size_t j = 0; j < squares.size(); ++j) {
    sound = sound && squares[j] >= 0 && std::isfinite(model->feature_mean_[j]);
    model->inverse_spread_.push_back(1 / (squares[j] + 1));
  }
  for (const size_t column : columns.columns) {
    sound = sound && curvature[column] > 0;
    model->inverse_curvature_.push_back(1 / curvature[column]);
  }
  if (!sound) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": feature_mean, feature_squares, rows or curvature is not what rows can give"));
  }
  return std::unique_ptr<const QualityModel>(std::move(model));
}

void LogisticQuality::Predict(const FeatureView& z, const QualityPrediction& prediction) const {
  const absl::Span<float> quality = prediction.quality;
  FillUnknown(prediction);
  kernels::LinearArgs args;
  args.w = linear_.weights();
  args.rows = 1;
  args.x = z.dense.data();
  args.y = quality.data();
  const bool scored =
      z.known && dimension_ > 0 && z.dense.size() == dimension_ && kernels::Linear(args).ok();
  for (size_t i = 0; i < mean_.size(); ++i) {
    quality[i] =
        scored && std::isfinite(quality[i]) ? 1.0f / (1.0f + std::exp(-quality[i])) : mean_[i];
  }
  if (prediction.uncertainty.empty() || feature_mean_.empty()) return;
  float variance = inverse_rows_;
  for (size_t j = 0; j < (scored ? dimension_ : 0); ++j) {
    const float off = z.dense[j] - feature_mean_[j];
    variance += off * off * inverse_spread_[j];
  }
  for (size_t i = 0; i < mean_.size(); ++i) {
    // Of a request of which nothing is known: as two observations would tell it.
    const float of_logit = std::sqrt(variance * inverse_curvature_[i]);
    const float deviation = scored ? quality[i] * (1 - quality[i]) * of_logit
                                   : std::sqrt(quality[i] * (1 - quality[i]) / 2);
    prediction.uncertainty[i] = std::isfinite(deviation) ? std::min(deviation, 0.5f) : 0.5f;
  }
}

}  // namespace penstock::router
