#include "router_service/quality/cascade_quality.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/status_macros.h"
#include "router_service/gating/expert_columns.h"

namespace penstock::router {
namespace {

constexpr char kLeastLead[] = "least_lead";
constexpr char kStages[] = "stages";

absl::StatusOr<CascadeStages> ReadStages(const Safetensors& file, absl::string_view path,
                                         const std::vector<std::string>& expert_names) {
  CascadeStages stages;
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<float> least_lead, file.Floats(kLeastLead, {1}));
  stages.least_lead = least_lead[0];
  if (std::isnan(stages.least_lead)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", kLeastLead, " is no number"));
  }
  const auto names = file.metadata().find(kStages);
  if (names == file.metadata().end()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " has a ", kLeastLead, ", but no metadata \"", kStages, "\""));
  }
  for (const absl::string_view name : absl::StrSplit(names->second, ',')) {
    const auto at = std::find(expert_names.begin(), expert_names.end(), name);
    if (at == expert_names.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, " was calibrated for the stages ", names->second, ", but \"", name,
                       "\" is no expert of the pool"));
    }
    const size_t expert = static_cast<size_t>(at - expert_names.begin());
    if (std::find(stages.experts.begin(), stages.experts.end(), expert) != stages.experts.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": stage \"", name, "\" stands twice in ", names->second));
    }
    stages.experts.push_back(expert);
  }
  if (stages.experts.size() < 2) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": stages are ", names->second, ", wanted at least 2"));
  }
  return stages;
}

}  // namespace

absl::Span<const size_t> CascadeStages::After(size_t standing) const {
  const auto at = std::find(experts.begin(), experts.end(), standing);
  return absl::MakeConstSpan(experts).subspan(static_cast<size_t>(at - experts.begin()) + 1);
}

bool CascadeStages::MayStand(size_t standing, absl::Span<const float> quality) const {
  const double lead = static_cast<double>(quality[standing]) - quality[experts.back()];
  return lead > least_lead;
}

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
  if (file.Find(kLeastLead) != nullptr) {
    PENSTOCK_ASSIGN_OR_RETURN(model->stages_, ReadStages(file, path, expert_names));
    for (size_t i = 0; i + 1 < model->stages_->experts.size(); ++i) {
      const size_t stage = model->stages_->experts[i];
      if (model->CanStand(stage)) continue;
      return absl::InvalidArgumentError(absl::StrCat(path, ": stage \"", expert_names[stage],
                                                     "\" answers, but can_stand is 0"));
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
