#include "router_service/quality/constant_quality.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace penstock::router {

absl::StatusOr<std::unique_ptr<const QualityModel>> ConstantQuality::Create(
    const config::v1::Pool& pool) {
  std::vector<float> quality;
  for (const config::v1::PoolExpert& expert : pool.experts()) {
    const double value = expert.has_quality() ? expert.quality() : 0.5;
    if (!(value >= 0 && value <= 1)) {
      return absl::InvalidArgumentError(
          absl::StrCat("pool \"", pool.name(), "\": quality of expert \"", expert.name(), "\" is ",
                       value, ", wanted a number in [0, 1]"));
    }
    quality.push_back(static_cast<float>(value));
  }
  return std::make_unique<const ConstantQuality>(std::move(quality));
}

void ConstantQuality::Predict(const FeatureView& z, const QualityPrediction& prediction) const {
  std::copy(quality_.begin(), quality_.end(), prediction.quality.begin());
  FillUnknown(prediction);
}

}  // namespace penstock::router
