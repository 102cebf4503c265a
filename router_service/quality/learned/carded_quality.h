#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "router_service/quality/learned/expert_cards.h"
#include "router_service/quality/learned/prototype_scorer.h"
#include "router_service/quality/quality_model.h"

namespace penstock::router {

// Experts that a trained model knows by it, the others by their cards: the belief in one of these,
// its configured quality or the mean of what the model says of those it knows, is moved by how much
// the request resembles its card (PrototypeScorer). So a new expert is asked from its first minute.
class CardedQuality final : public QualityModel {
 public:
  // `trained` may be null. `known[i]`: where expert i of the pool stands in it; nothing: not there.
  static absl::StatusOr<std::unique_ptr<const QualityModel>> Create(
      const config::v1::Pool& pool, std::unique_ptr<const QualityModel> trained,
      std::vector<std::optional<size_t>> known);

  size_t experts() const override { return known_.size(); }
  size_t dimension() const override { return trained_ == nullptr ? 0 : trained_->dimension(); }
  size_t sparse_dimension() const override { return weighting_.buckets; }
  void Predict(const FeatureView& z, const QualityPrediction& prediction) const override;
  absl::Span<const float> mean_joules() const override { return mean_joules_; }
  float Rarity(uint32_t index) const override {
    return trained_ == nullptr ? 0 : trained_->Rarity(index);
  }
  absl::Span<const std::string> warnings() const override { return warnings_; }

 private:
  CardedQuality(std::unique_ptr<const QualityModel> trained,
                std::vector<std::optional<size_t>> known, FeatureWeighting weighting,
                PrototypeScorer::Parameters prototypes)
      : trained_(std::move(trained)),
        known_(std::move(known)),
        weighting_(std::move(weighting)),
        prototypes_(std::move(prototypes)) {}

  const std::unique_ptr<const QualityModel> trained_;
  const std::vector<std::optional<size_t>> known_;
  const FeatureWeighting weighting_;
  const PrototypeScorer prototypes_;
  std::vector<std::optional<float>> quality_;  // configured
  std::vector<float> mean_joules_;
  std::vector<std::string> warnings_;
};

}  // namespace penstock::router
