#include "router_service/quality/learned/carded_quality.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "router_service/quality/learned/calibrated_quality.h"

namespace penstock::router {

absl::StatusOr<std::unique_ptr<const QualityModel>> CardedQuality::Create(
    const config::v1::Pool& pool, std::unique_ptr<const QualityModel> trained,
    std::vector<std::optional<size_t>> known) {
  if (!pool.features().has_text()) {
    return absl::InvalidArgumentError(
        absl::StrCat("cards_file ", pool.cards_file(), " wants features: {text: ...}"));
  }
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<ExpertCard> cards,
                            ReadExpertCards(pool.cards_file()));
  std::vector<std::string> names;
  for (const config::v1::PoolExpert& expert : pool.experts()) names.push_back(expert.name());
  for (const ExpertCard& card : cards) {
    if (std::find(names.begin(), names.end(), card.expert) == names.end()) {
      return absl::InvalidArgumentError(absl::StrCat(
          pool.cards_file(), ": \"", card.expert, "\" is no expert of pool \"", pool.name(), "\""));
    }
  }
  const config::v1::TextFeatures& features = pool.features().text();
  PENSTOCK_ASSIGN_OR_RETURN(FeatureWeighting weighting, CardWeighting(cards, features));
  PrototypeScorer::Parameters prototypes;
  PENSTOCK_ASSIGN_OR_RETURN(prototypes.prototypes,
                            CardPrototypes(cards, names, features, weighting));
  prototypes.prior.assign(names.size(), 0.5f);
  prototypes.observed.assign(names.size(), 0.0f);
  std::vector<std::string> warnings = CardWarnings(prototypes.prototypes, names);
  auto model = absl::WrapUnique(new CardedQuality(std::move(trained), std::move(known),
                                                  std::move(weighting), std::move(prototypes)));
  model->warnings_ = std::move(warnings);
  for (int i = 0; i < pool.experts_size(); ++i) {
    const config::v1::PoolExpert& expert = pool.experts(i);
    model->quality_.push_back(expert.has_quality()
                                  ? std::optional<float>(static_cast<float>(expert.quality()))
                                  : std::nullopt);
    if (expert.has_quality() && !(expert.quality() >= 0 && expert.quality() <= 1)) {
      return absl::InvalidArgumentError(absl::StrCat("quality of expert \"", expert.name(),
                                                     "\" is ", expert.quality(),
                                                     ", wanted a number in [0, 1]"));
    }
    if (model->trained_ == nullptr || model->trained_->mean_joules().empty()) continue;
    const std::optional<size_t> at = model->known_[static_cast<size_t>(i)];
    model->mean_joules_.push_back(at ? model->trained_->mean_joules()[*at] : 0.0f);
  }
  return std::unique_ptr<const QualityModel>(std::move(model));
}

void CardedQuality::Predict(const FeatureView& z, const QualityPrediction& prediction) const {
  constexpr float kLeast = CalibratedQuality::kLeast;
  thread_local std::vector<float> quality, uncertainty, work, evidence, values;
  thread_local std::vector<uint32_t> columns;
  float mean = 0.5f;
  if (trained_ != nullptr && trained_->experts() > 0) {
    const size_t count = trained_->experts();
    quality.resize(count);
    uncertainty.resize(prediction.uncertainty.empty() ? 0 : count);
    work.resize(prediction.work.empty() ? 0 : count);
    trained_->Predict(z,
                      {absl::MakeSpan(quality), absl::MakeSpan(uncertainty), absl::MakeSpan(work)});
    mean = 0;
    for (const float value : quality) mean += value / static_cast<float>(count);
  }
  const bool readable = weighting_.CanRead(z);
  if (readable) {
    weighting_.Apply(z, columns, values);
    prototypes_.Evidence(columns, values, evidence);
  }
  for (size_t i = 0; i < known_.size(); ++i) {
    if (known_[i]) {
      prediction.quality[i] = quality[*known_[i]];
      if (!prediction.uncertainty.empty()) prediction.uncertainty[i] = uncertainty[*known_[i]];
      if (!prediction.work.empty()) prediction.work[i] = work[*known_[i]];
      continue;
    }
    const float believed = quality_[i].value_or(mean);
    const float prior = std::clamp(believed, kLeast, 1 - kLeast);
    const float logit = std::log(prior / (1 - prior)) + (readable ? evidence[i] : 0.0f);
    const float p = std::clamp(1 / (1 + std::exp(-logit)), kLeast, 1 - kLeast);
    prediction.quality[i] = p;
    // As two observations would tell it: the prior's weight.
    if (!prediction.uncertainty.empty()) prediction.uncertainty[i] = std::sqrt(p * (1 - p) / 2);
    if (!prediction.work.empty()) prediction.work[i] = 1;
  }
}

}  // namespace penstock::router
