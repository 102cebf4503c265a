#include "router_service/quality/logistic_quality.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "router_service/gating/expert_columns.h"

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
}

}  // namespace penstock::router
