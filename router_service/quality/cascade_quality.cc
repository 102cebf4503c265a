#include "router_service/quality/cascade_quality.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "router_service/gating/expert_columns.h"

namespace penstock::router {

absl::StatusOr<std::unique_ptr<const CascadeQuality>> CascadeQuality::Open(
    const std::string& path, const std::vector<std::string>& expert_names) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::shared_ptr<const Safetensors> file, Safetensors::Open(path));
  return FromTensors(*file, path, expert_names);
}

absl::StatusOr<std::unique_ptr<const CascadeQuality>> CascadeQuality::FromTensors(
    const Safetensors& file, absl::string_view path, const std::vector<std::string>& expert_names) {
  size_t in_file = 0;
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<size_t> columns,
                            ExpertColumns(file, path, expert_names, in_file));
  const int64_t size = static_cast<int64_t>(in_file);
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<float> weights,
                            file.Floats("weight", {size, size, 3}));
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<float> can_stand, file.Floats("can_stand", {size}));
  if (!std::all_of(weights.begin(), weights.end(), [](float v) { return std::isfinite(v); })) {
    return absl::InvalidArgumentError(absl::StrCat(path, " has weights that are not finite"));
  }
  auto model = absl::WrapUnique(new CascadeQuality());
  model->experts_ = expert_names.size();
  for (const size_t standing : columns) {
    model->can_stand_.push_back(can_stand[standing] != 0);
    for (const size_t asked : columns) {
      const auto at =
          weights.begin() + static_cast<std::ptrdiff_t>((standing * in_file + asked) * 3);
      model->weights_.insert(model->weights_.end(), at, at + 3);
    }
  }
  return std::unique_ptr<const CascadeQuality>(std::move(model));
}

void CascadeQuality::Predict(size_t standing, absl::Span<const AnswerConfidence> rows,
                             absl::Span<float> quality) const {
  std::fill(quality.begin(), quality.end(), 0.0f);
  const float* pair = weights_.data() + standing * experts_ * 3;
  for (const AnswerConfidence& row : rows) {
    const std::array<double, 2> f = ConfidenceFeatures(row);
    for (size_t i = 0; i < experts_; ++i) {
      const double logit = pair[i * 3] + pair[i * 3 + 1] * f[0] + pair[i * 3 + 2] * f[1];
      quality[i] += static_cast<float>(1 / (1 + std::exp(-logit)));
    }
  }
  for (float& value : quality) value /= static_cast<float>(rows.size());
}

}  // namespace penstock::router
