#include "router_service/learning/text/quality_trainer.h"

#include <cmath>
#include <numeric>

#include "common/status_macros.h"
#include "router_service/quality/hashed_linear_quality.h"

namespace penstock::router {
namespace {

class MeanTrainer final : public QualityTrainer {
 public:
  std::string name() const override { return "mean"; }
  double complexity(const TextOutcomes& outcomes) const override {
    return static_cast<double>(outcomes.experts.size());
  }
  // A linear model without a column.
  absl::StatusOr<FittedQuality> Fit(const TextOutcomes& outcomes,
                                    absl::Span<const size_t> rows) const override {
    HashedLinearQuality::Parameters parameters;
    parameters.experts = outcomes.experts;
    parameters.buckets = outcomes.counts.columns;
    parameters.idf_unseen = 1;
    parameters.dense_mean.assign(outcomes.dense_dimension, 0.0f);
    parameters.dense_scale.assign(outcomes.dense_dimension, 0.0f);
    for (size_t e = 0; e < outcomes.experts.size(); ++e) {
      double right = 0, labels = 0, cost = 0, costs = 0;
      for (const size_t row : rows) {
        const size_t at = outcomes.At(e, row);
        if (std::isnan(outcomes.quality[at])) continue;
        right += outcomes.quality[at];
        labels += 1;
        if (std::isnan(outcomes.cost[at])) continue;
        cost += outcomes.cost[at];
        costs += 1;
      }
      const float mean = labels > 0 ? static_cast<float>(right / labels) : 0.5f;
      parameters.mean.push_back(mean);
      parameters.mean_quality.push_back(mean);
      parameters.residual.push_back(0);
      parameters.length_mean.push_back(0);
      parameters.work_scale.push_back(1);
      parameters.mean_tokens.push_back(0);
      parameters.mean_joules.push_back(
          outcomes.cost_unit == "joules" && costs > 0 ? static_cast<float>(cost / costs) : 0.0f);
    }
    FittedQuality fitted;
    fitted.model = HashedLinearQuality::FromParameters(parameters);
    fitted.tensors = HashedLinearQuality::Tensors(parameters);
    fitted.metadata = HashedLinearQuality::Metadata(parameters, fitted.tensors);
    return fitted;
  }
};

}  // namespace

absl::StatusOr<OutOfFold> QualityTrainer::CrossValidate(const TextOutcomes& outcomes,
                                                        absl::Span<const int> fold,
                                                        int folds) const {
  const size_t experts = outcomes.experts.size();
  OutOfFold result;
  result.quality.assign(experts * outcomes.rows(), 0.0f);
  result.work.assign(experts * outcomes.rows(), 1.0f);
  std::vector<float> quality(experts), work(experts);
  for (int out = 0; out < folds; ++out) {
    std::vector<size_t> rows;
    for (size_t row = 0; row < outcomes.rows(); ++row) {
      if (fold[row] != out) rows.push_back(row);
    }
    if (rows.empty() || rows.size() == outcomes.rows()) continue;
    PENSTOCK_ASSIGN_OR_RETURN(const FittedQuality fitted, Fit(outcomes, rows));
    for (size_t row = 0; row < outcomes.rows(); ++row) {
      if (fold[row] != out) continue;
      fitted.model->Predict(outcomes.Features(row),
                            {absl::MakeSpan(quality), {}, absl::MakeSpan(work)});
      for (size_t e = 0; e < experts; ++e) {
        result.quality[outcomes.At(e, row)] = quality[e];
        result.work[outcomes.At(e, row)] = work[e];
      }
    }
  }
  return result;
}

std::unique_ptr<QualityTrainer> MakeMeanTrainer() { return std::make_unique<MeanTrainer>(); }

}  // namespace penstock::router
