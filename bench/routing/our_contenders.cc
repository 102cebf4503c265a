#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <limits>

#include "contender.h"
#include "router_service/features/text_features.h"
#include "router_service/learning/text/hashed_linear_trainer.h"

namespace penstock::router {
namespace {

// A pair's cheaper model costs nothing where calls of the dearer one are counted; relative costs
// need something to be relative to.
constexpr float kFreeCost = 1e-3f;

TextOutcomes OutcomesOf(const RoutingSet& set, const TextFeatures& features) {
  TextOutcomes outcomes;
  outcomes.experts = set.models;
  outcomes.groups = set.question;
  outcomes.counts.columns = features.sparse_dimension();
  outcomes.dense_dimension = features.dimension();
  FeatureBuffer buffer;
  for (const std::string& prompt : set.prompts) {
    features.ExtractText(prompt, buffer);
    outcomes.counts.Add(buffer.indices, buffer.values);
    outcomes.dense.insert(outcomes.dense.end(), buffer.dense.begin(), buffer.dense.end());
  }
  outcomes.quality = set.quality;
  outcomes.out_tokens = set.tokens;
  if (set.tokens.empty()) {
    outcomes.out_tokens.assign(set.quality.size(), std::numeric_limits<float>::quiet_NaN());
  }
  outcomes.cost = set.cost;
  for (float& cost : outcomes.cost) cost = std::max(cost, kFreeCost);
  outcomes.cost_unit = "joules";  // whichever it is: the trainer only compares
  return outcomes;
}

// The default of `penstock train`, by the code that trains and serves: quality and expected work of
// every model from the prompt, cost = mean training cost x work.
class PenstockContender final : public Estimator {
 public:
  PenstockContender() : Estimator("penstock") {}

  Estimates Estimate(const Part& part) const override {
    const absl::StatusOr<TextFeatures> features =
        TextFeatures::FromSettings(config::v1::TextFeatures());
    const TextOutcomes outcomes = OutcomesOf(part.train, *features);
    std::vector<size_t> rows(outcomes.rows());
    for (size_t row = 0; row < rows.size(); ++row) rows[row] = row;
    const absl::StatusOr<FittedQuality> fitted = HashedLinearTrainer().Fit(outcomes, rows);
    if (!fitted.ok()) {
      std::cerr << "penstock: " << fitted.status().message() << "\n";
      std::exit(1);
    }
    const std::vector<double> mean_cost = part.train.MeanCosts();
    const size_t models = part.test.models.size();
    Estimates estimates;
    estimates.quality.resize(models * part.test.rows);
    estimates.cost.resize(models * part.test.rows);
    std::vector<float> quality(models), work(models);
    FeatureBuffer buffer;
    for (size_t row = 0; row < part.test.rows; ++row) {
      features->ExtractText(part.test.prompts[row], buffer);
      fitted->model->Predict(buffer.view(), {absl::MakeSpan(quality), {}, absl::MakeSpan(work)});
      for (size_t m = 0; m < models; ++m) {
        estimates.quality[part.test.At(m, row)] = quality[m];
        estimates.cost[part.test.At(m, row)] = static_cast<float>(mean_cost[m]) * work[m];
      }
    }
    return estimates;
  }
};

}  // namespace

std::vector<std::unique_ptr<Contender>> OurContenders() {
  std::vector<std::unique_ptr<Contender>> list;
  list.push_back(std::make_unique<PenstockContender>());
  return list;
}

}  // namespace penstock::router
