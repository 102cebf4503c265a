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
#include "router_service/quality/artifact_checksum.h"
#include "router_service/quality/artifact_metadata.h"
#include "router_service/quality/cascade/fixed_confidence.h"

namespace penstock::router {
namespace {

constexpr char kLeastLead[] = "least_lead";

absl::StatusOr<CascadeStages> ReadStages(const Safetensors& file, absl::string_view path,
                                         const std::vector<std::string>& expert_names) {
  CascadeStages stages;
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<float> least_lead, file.Floats(kLeastLead, {1}));
  stages.least_lead = least_lead[0];
  if (std::isnan(stages.least_lead)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", kLeastLead, " is no number"));
  }
  PENSTOCK_ASSIGN_OR_RETURN(static_cast<StageList&>(stages),
                            ReadStageList(file, path, expert_names));
  return stages;
}

}  // namespace

bool CascadeStages::MayStand(size_t standing, absl::Span<const float> quality) const {
  const double lead = static_cast<double>(quality[standing]) - quality[experts.back()];
  return lead > least_lead;
}

absl::StatusOr<std::unique_ptr<const CascadeQuality>> CascadeQuality::Open(
    const std::string& path, const std::vector<std::string>& expert_names,
    const CascadeFeatures& features) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::shared_ptr<const Safetensors> file, OpenArtifact(path));
  return FromTensors(*file, path, expert_names, features);
}

absl::StatusOr<std::unique_ptr<const CascadeQuality>> CascadeQuality::FromTensors(
    const Safetensors& file, absl::string_view path, const std::vector<std::string>& expert_names,
    const CascadeFeatures& features) {
  PENSTOCK_RETURN_IF_ERROR(CheckArtifactUse(file, path, {"cascade_quality", std::nullopt, ""}));
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
  PENSTOCK_RETURN_IF_ERROR(model->ReadRules(file, path, expert_names, columns, in_file));
  // Only a bypass reads features; what another file was trained beside is no matter.
  if (model->bypass() != nullptr && features.dimension) {
    PENSTOCK_RETURN_IF_ERROR(
        CheckArtifactUse(file, path, {"", features.dimension, features.metadata}));
  }
  return std::unique_ptr<const CascadeQuality>(std::move(model));
}

absl::Status CascadeQuality::ReadRules(const Safetensors& file, absl::string_view path,
                                       const std::vector<std::string>& expert_names,
                                       absl::Span<const size_t> columns, size_t in_file) {
  weighable_.assign(experts_ * experts_, 1);
  by_price_.assign(experts_, 1);
  const bool has_policy = file.metadata().count("policy") > 0;
  if (file.Find(kLeastLead) != nullptr) {
    PENSTOCK_ASSIGN_OR_RETURN(stages_, ReadStages(file, path, expert_names));
  }
  if (stages_ && has_policy) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " has both a ", kLeastLead, " and a policy"));
  }
  if (has_policy) {
    PENSTOCK_ASSIGN_OR_RETURN(policy_, ReadStagePolicy(file, path, expert_names));
  }
  if (file.Find("ece") != nullptr) {
    PENSTOCK_RETURN_IF_ERROR(ReadErrors(file, path, expert_names, columns, in_file));
  }
  if (file.Find("slow_weight") != nullptr) {
    PENSTOCK_ASSIGN_OR_RETURN(slow_,
                              SlowEstimate::Read(file, path, columns, in_file, expert_names));
  }
  if (!has_policy && !stages_) return absl::OkStatus();
  PENSTOCK_ASSIGN_OR_RETURN(const StageList stages, ReadStageList(file, path, expert_names));
  begins_with_ = stages.experts.front();
  for (size_t i = 0; i + 1 < stages.experts.size(); ++i) {
    const size_t stage = stages.experts[i];
    if (CanStand(stage) || bypass() != nullptr) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": stage \"", expert_names[stage], "\" answers, but can_stand is 0"));
  }
  return absl::OkStatus();
}

absl::Status CascadeQuality::ReadErrors(const Safetensors& file, absl::string_view path,
                                        const std::vector<std::string>& expert_names,
                                        absl::Span<const size_t> columns, size_t in_file) {
  const int64_t size = static_cast<int64_t>(in_file);
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<float> ece, file.Floats("ece", {size, size}));
  PENSTOCK_ASSIGN_OR_RETURN(fixed_, FixedConfidence::Read(file, path, columns, in_file));
  for (size_t standing = 0; standing < experts_; ++standing) {
    const float* errors = ece.data() + columns[standing] * in_file;
    bool any = false;
    for (size_t asked = 0; asked < experts_; ++asked) {
      // NaN: no held-out request tells.
      const bool weighable = !(errors[columns[asked]] > kMostError);
      weighable_[standing * experts_ + asked] = weighable;
      any = any || (weighable && asked != standing);
    }
    by_price_[standing] = any && Weighable(standing, standing);
    if (by_price_[standing] || !CanStand(standing)) continue;
    refusals_.push_back(absl::StrCat(
        "the calibration error of ", expert_names[standing], " standing is ",
        errors[columns[standing]], any ? "" : ", and too large for all that may follow",
        ", wanted at most ", kMostError, ": a fixed confidence decides instead of price"));
  }
  return absl::OkStatus();
}

const StagePolicy* CascadeQuality::PolicyOf(size_t standing) const {
  if (stages_) return &*stages_;
  if (policy_ != nullptr) return policy_.get();
  return by_price_[standing] != 0 ? nullptr : fixed_.get();
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
