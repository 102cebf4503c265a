#include "router_service/learning/text/scorer_trainer.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"
#include "router_service/learning/calibration.h"
#include "router_service/learning/text/hashed_linear_trainer.h"

namespace penstock::router {

// Of rows by a scorer that was not fitted on them, [experts, rows].
struct ScorerTrainer::Scores {
  std::vector<float> logit, work;
};

// By expert.
struct ScorerTrainer::Calibrated {
  std::vector<float> tau, offset, work_scale, mean_quality, mean_joules;
};

absl::StatusOr<ScorerTrainer::Scores> ScorerTrainer::OutOfFoldScores(const TextOutcomes& outcomes,
                                                                     absl::Span<const size_t> rows,
                                                                     absl::Span<const int> fold,
                                                                     int folds) const {
  const size_t experts = outcomes.experts.size();
  Scores scores;
  scores.logit.assign(experts * rows.size(), 0.0f);
  scores.work.assign(experts * rows.size(), 1.0f);
  std::vector<uint32_t> columns;
  std::vector<float> values;
  LogitScores of_row;
  for (int out = 0; out < folds; ++out) {
    std::vector<size_t> in_rows, places;
    for (size_t i = 0; i < rows.size(); ++i) {
      if (fold[i] == out) {
        places.push_back(i);
      } else {
        in_rows.push_back(rows[i]);
      }
    }
    if (in_rows.empty() || places.empty()) continue;
    PENSTOCK_ASSIGN_OR_RETURN(const FittedScorer fitted, fit_(outcomes, in_rows));
    for (const size_t place : places) {
      fitted.weighting.Apply(outcomes.Features(rows[place]), columns, values);
      fitted.scorer->Score(columns, values, of_row);
      for (size_t e = 0; e < experts; ++e) {
        scores.logit[e * rows.size() + place] = of_row.logit[e];
        scores.work[e * rows.size() + place] = of_row.work[e];
      }
    }
  }
  return scores;
}

ScorerTrainer::Calibrated ScorerTrainer::Calibrate(const TextOutcomes& outcomes,
                                                   absl::Span<const size_t> rows,
                                                   const Scores& scores) {
  const size_t count = rows.size();
  const std::vector<float> lengths = AnswerLengths(outcomes);
  Calibrated result;
  std::vector<float> labels(count);
  for (size_t e = 0; e < outcomes.experts.size(); ++e) {
    double right = 0, known = 0, cost = 0, costs = 0, work = 0, told = 0;
    for (size_t i = 0; i < count; ++i) {
      const size_t at = outcomes.At(e, rows[i]);
      labels[i] = outcomes.quality[at];
      if (!std::isnan(labels[i])) {
        right += labels[i];
        known += 1;
      }
      if (!std::isnan(outcomes.cost[at])) {
        cost += outcomes.cost[at];
        costs += 1;
      }
      if (!std::isnan(lengths[at])) {
        work += scores.work[e * count + i];
        told += 1;
      }
    }
    const Calibration calibration =
        FitCalibration(absl::MakeConstSpan(scores.logit).subspan(e * count, count), labels);
    result.tau.push_back(static_cast<float>(calibration.tau));
    result.offset.push_back(static_cast<float>(calibration.offset));
    result.work_scale.push_back(work > 0 ? static_cast<float>(told / work) : 1.0f);
    result.mean_quality.push_back(known > 0 ? static_cast<float>(right / known) : 0.5f);
    result.mean_joules.push_back(
        outcomes.cost_unit == "joules" && costs > 0 ? static_cast<float>(cost / costs) : 0.0f);
  }
  return result;
}

absl::StatusOr<FittedQuality> ScorerTrainer::Fit(const TextOutcomes& outcomes,
                                                 absl::Span<const size_t> rows) const {
  if (rows.size() < 2) {
    return absl::InvalidArgumentError(
        absl::StrCat(rows.size(), " outcomes to fit ", name_, " to, wanted at least 2"));
  }
  std::vector<int> fold;
  for (const size_t row : rows) fold.push_back(FoldOf(outcomes.groups[row], folds_));
  PENSTOCK_ASSIGN_OR_RETURN(const Scores scores, OutOfFoldScores(outcomes, rows, fold, folds_));
  Calibrated calibrated = Calibrate(outcomes, rows, scores);
  PENSTOCK_ASSIGN_OR_RETURN(FittedScorer fitted, fit_(outcomes, rows));
  CalibratedQuality::Parameters parameters;
  parameters.experts = outcomes.experts;
  parameters.weighting = std::move(fitted.weighting);
  parameters.scorer = std::move(fitted.scorer);
  parameters.tau = std::move(calibrated.tau);
  parameters.offset = std::move(calibrated.offset);
  parameters.work_scale = std::move(calibrated.work_scale);
  parameters.mean_quality = std::move(calibrated.mean_quality);
  parameters.mean_joules = std::move(calibrated.mean_joules);
  FittedQuality result;
  CalibratedQuality::AppendTo(kind_, parameters, result.tensors, result.metadata);
  result.model = CalibratedQuality::FromParameters(std::move(parameters));
  return result;
}

absl::StatusOr<OutOfFold> ScorerTrainer::CrossValidate(const TextOutcomes& outcomes,
                                                       absl::Span<const int> fold,
                                                       int folds) const {
  // A calibration is two numbers an expert, chosen on all folds' predictions together.
  std::vector<size_t> rows(outcomes.rows());
  std::iota(rows.begin(), rows.end(), size_t{0});
  PENSTOCK_ASSIGN_OR_RETURN(const Scores scores, OutOfFoldScores(outcomes, rows, fold, folds));
  const Calibrated calibrated = Calibrate(outcomes, rows, scores);
  constexpr float kLeast = CalibratedQuality::kLeast;
  OutOfFold result;
  result.quality.resize(scores.logit.size());
  result.work.resize(scores.work.size());
  for (size_t at = 0; at < scores.logit.size(); ++at) {
    const size_t e = at / rows.size();
    const float logit = calibrated.offset[e] + scores.logit[at] / calibrated.tau[e];
    result.quality[at] = std::clamp(1 / (1 + std::exp(-logit)), kLeast, 1 - kLeast);
    result.work[at] = scores.work[at] * calibrated.work_scale[e];
  }
  result.notes.emplace_back("tau by expert", absl::StrJoin(calibrated.tau, ", "));
  return result;
}

}  // namespace penstock::router
