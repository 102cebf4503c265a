#include "router_service/learning/text/hashed_linear_trainer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "router_service/learning/text/cost_quality_frontier.h"
#include "router_service/learning/text/spread_calibration.h"
#include "router_service/learning/text/sparse_ridge.h"
#include "router_service/learning/text/weighted_design.h"

namespace penstock::router {
namespace {

using Parameters = HashedLinearQuality::Parameters;
constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();

std::vector<size_t> AllRows(const TextOutcomes& outcomes) {
  std::vector<size_t> rows(outcomes.rows());
  std::iota(rows.begin(), rows.end(), size_t{0});
  return rows;
}

// [rows, targets] = for each lambda of `grid` the quality of every expert, then the lengths.
std::vector<float> Targets(const TextOutcomes& outcomes, const std::vector<float>& lengths,
                           absl::Span<const size_t> taken, size_t levels) {
  const size_t experts = outcomes.experts.size(), targets = experts * (levels + 1);
  std::vector<float> y(taken.size() * targets);
  for (size_t i = 0; i < taken.size(); ++i) {
    float* to = y.data() + i * targets;
    for (size_t e = 0; e < experts; ++e) {
      const size_t at = outcomes.At(e, taken[i]);
      for (size_t level = 0; level < levels; ++level) {
        to[level * experts + e] = outcomes.quality[at];
      }
      to[levels * experts + e] = std::isnan(lengths[at])
                                     ? kUnknown
                                     : static_cast<float>(std::log(lengths[at] + kLengthOffset));
    }
  }
  return y;
}

}  // namespace

// Out-of-fold ridge scores of `rows`: [levels, experts, rows] and [experts, rows].
struct HashedLinearTrainer::Raw {
  std::vector<std::vector<float>> quality;
  std::vector<float> length;
};

// What the out-of-fold scores decide. By expert.
struct HashedLinearTrainer::Chosen {
  size_t level = 0;
  std::vector<double> figure;  // of each level: average quality, or minus the Brier score
  SpreadCalibration calibration;
  std::vector<float> residual, work_scale, mean_cost, mean_quality, mean_tokens;
};

std::vector<float> AnswerLengths(const TextOutcomes& outcomes) {
  std::vector<float> lengths(outcomes.quality.size(), kUnknown);
  const size_t rows = outcomes.rows();
  for (size_t e = 0; e < outcomes.experts.size(); ++e) {
    size_t tokens = 0, costs = 0;
    double sum = 0;
    for (size_t row = 0; row < rows; ++row) {
      const size_t at = outcomes.At(e, row);
      tokens += !std::isnan(outcomes.out_tokens[at]);
      if (std::isnan(outcomes.cost[at])) continue;
      ++costs;
      sum += outcomes.cost[at];
    }
    const bool by_tokens = tokens > 0;
    const double unit = costs > 0 && sum > 0 ? sum / static_cast<double>(costs) / 256 : 0;
    for (size_t row = 0; row < rows; ++row) {
      const size_t at = outcomes.At(e, row);
      if (by_tokens) {
        lengths[at] = outcomes.out_tokens[at];
      } else if (unit > 0) {
        lengths[at] = static_cast<float>(outcomes.cost[at] / unit);
      }
    }
  }
  return lengths;
}

double HashedLinearTrainer::complexity(const TextOutcomes& outcomes) const {
  return 2.0 * static_cast<double>(outcomes.experts.size()) *
         static_cast<double>(outcomes.counts.columns + outcomes.dense_dimension);
}

HashedLinearTrainer::Raw HashedLinearTrainer::Scores(const TextOutcomes& outcomes,
                                                     absl::Span<const size_t> rows,
                                                     absl::Span<const int> fold,
                                                     int folds) const {
  const size_t experts = outcomes.experts.size(), levels = options_.grid.size();
  const size_t targets = experts * (levels + 1);
  const std::vector<float> lengths = AnswerLengths(outcomes);
  std::vector<double> lambda;
  for (const double of_level : options_.grid) lambda.insert(lambda.end(), experts, of_level);
  lambda.insert(lambda.end(), experts, options_.length_lambda);
  Raw raw;
  raw.quality.assign(levels, std::vector<float>(experts * rows.size(), 0.0f));
  raw.length.assign(experts * rows.size(), 0.0f);
  std::vector<double> scores(targets);
  std::vector<uint32_t> at_columns;
  std::vector<float> values;
  for (int out = 0; out < folds; ++out) {
    std::vector<size_t> in_rows, out_rows, out_places;
    for (size_t i = 0; i < rows.size(); ++i) {
      if (fold[i] == out) {
        out_rows.push_back(rows[i]);
        out_places.push_back(i);
      } else {
        in_rows.push_back(rows[i]);
      }
    }
    if (in_rows.empty() || out_rows.empty()) continue;
    const FeatureWeighting weighting =
        FitWeighting(outcomes, in_rows, options_.dense_share, outcomes.counts.columns);
    const SparseRidge::Weights weights =
        SparseRidge(WeightedRows(outcomes, weighting, in_rows))
            .Solve(Targets(outcomes, lengths, in_rows, levels), lambda);
    const std::vector<uint32_t> place_of = weights.Places(weighting.columns());
    for (size_t i = 0; i < out_rows.size(); ++i) {
      weighting.Apply(outcomes.Features(out_rows[i]), at_columns, values);
      weights.Predict(at_columns, values, place_of, absl::MakeSpan(scores));
      for (size_t e = 0; e < experts; ++e) {
        const size_t at = e * rows.size() + out_places[i];
        for (size_t level = 0; level < levels; ++level) {
          raw.quality[level][at] = static_cast<float>(scores[level * experts + e]);
        }
        raw.length[at] = static_cast<float>(scores[levels * experts + e]);
      }
    }
  }
  return raw;
}

HashedLinearTrainer::Chosen HashedLinearTrainer::Choose(const TextOutcomes& outcomes,
                                                        absl::Span<const size_t> rows,
                                                        const Raw& raw) const {
  const size_t experts = outcomes.experts.size(), count = rows.size();
  const std::vector<float> lengths = AnswerLengths(outcomes);
  Chosen chosen;
  std::vector<float> quality(experts * count), cost(experts * count), predicted(experts * count);
  for (size_t e = 0; e < experts; ++e) {
    double lengths_sum = 0, predicted_sum = 0, cost_sum = 0, costs = 0, labels = 0, right = 0;
    double told = 0;
    for (size_t i = 0; i < count; ++i) {
      const size_t from = outcomes.At(e, rows[i]), at = e * count + i;
      quality[at] = outcomes.quality[from];
      cost[at] = outcomes.cost[from];
      if (!std::isnan(quality[at])) {
        labels += 1;
        right += quality[at];
      }
      if (!std::isnan(cost[at])) {
        costs += 1;
        cost_sum += cost[at];
      }
      if (std::isnan(lengths[from])) continue;
      told += 1;
      lengths_sum += lengths[from];
      predicted_sum += std::exp(raw.length[at]);
    }
    // exp(prediction) times s over the mean length: 1 in the mean over out-of-fold rows, and told
    // lengths cancel out of s = mean length / mean exp(prediction).
    const bool has_length = told > 0 && predicted_sum > 0 && lengths_sum > 0;
    chosen.work_scale.push_back(has_length ? static_cast<float>(told / predicted_sum) : 0.0f);
    chosen.mean_cost.push_back(costs > 0 ? static_cast<float>(cost_sum / costs) : 0.0f);
    chosen.mean_quality.push_back(labels > 0 ? static_cast<float>(right / labels) : 0.5f);
    chosen.mean_tokens.push_back(has_length ? static_cast<float>(lengths_sum / told) : 0.0f);
    for (size_t i = 0; i < count; ++i) {
      const size_t at = e * count + i;
      predicted[at] = chosen.mean_cost[e] *
                      (has_length ? std::exp(raw.length[at]) * chosen.work_scale[e] : 1.0f);
    }
  }
  const bool priced = outcomes.compares_costs();
  if (!priced) std::fill(cost.begin(), cost.end(), 0.0f);
  double best = -std::numeric_limits<double>::infinity();
  for (size_t level = 0; level < raw.quality.size(); ++level) {
    const SpreadCalibration calibration =
        SpreadCalibration::Of(raw.quality[level], quality, experts);
    const std::vector<float> calibrated = calibration.Apply(raw.quality[level]);
    double brier = 0, labels = 0;
    for (size_t at = 0; at < calibrated.size(); ++at) {
      if (std::isnan(quality[at])) continue;
      brier += (calibrated[at] - quality[at]) * (calibrated[at] - quality[at]);
      labels += 1;
    }
    const double figure =
        priced ? MeasureRouting({experts, quality, cost}, calibrated, predicted).aiq
               : -brier / std::max(labels, 1.0);
    chosen.figure.push_back(figure);
    if (figure > best) {
      best = figure;
      chosen.level = level;
      chosen.calibration = calibration;
    }
  }
  for (size_t e = 0; e < experts; ++e) {
    double squares = 0, labels = 0;
    for (size_t at = e * count; at < (e + 1) * count; ++at) {
      if (std::isnan(quality[at])) continue;
      const double off = quality[at] - raw.quality[chosen.level][at];
      squares += off * off;
      labels += 1;
    }
    chosen.residual.push_back(labels > 0 ? static_cast<float>(std::sqrt(squares / labels)) : 0.0f);
  }
  return chosen;
}

absl::StatusOr<FittedQuality> HashedLinearTrainer::Fit(const TextOutcomes& outcomes,
                                                       absl::Span<const size_t> rows) const {
  if (rows.size() < 2 || options_.grid.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(rows.size(), " outcomes to fit hashed_linear to, wanted at least 2"));
  }
  const size_t experts = outcomes.experts.size();
  std::vector<int> fold;
  for (const size_t row : rows) fold.push_back(FoldOf(outcomes.groups[row], options_.folds));
  const Chosen chosen =
      Choose(outcomes, rows, Scores(outcomes, rows, fold, options_.folds));
  const double lambda = options_.grid[chosen.level];

  const FeatureWeighting weighting =
      FitWeighting(outcomes, rows, options_.dense_share, outcomes.counts.columns);
  const SparseRidge ridge(WeightedRows(outcomes, weighting, rows));
  std::vector<double> lambdas(experts, lambda);
  lambdas.insert(lambdas.end(), experts, options_.length_lambda);
  const SparseRidge::Weights weights =
      ridge.Solve(Targets(outcomes, AnswerLengths(outcomes), rows, 1), lambdas);

  Parameters parameters;
  parameters.experts = outcomes.experts;
  parameters.buckets = outcomes.counts.columns;
  parameters.columns = weights.columns;
  for (const uint32_t column : weights.columns) {
    parameters.idf.push_back(column < weighting.idf.size() ? weighting.idf[column] : 1.0f);
  }
  parameters.squares = ridge.SquaresOfColumns();
  parameters.weight = weights.weight;
  // The calibration is a linear map of the experts' scores, so it goes into their weights.
  for (size_t place = 0; place < weights.columns.size(); ++place) {
    chosen.calibration.Fold(
        absl::MakeSpan(parameters.weight).subspan(place * 2 * experts, experts));
  }
  const std::vector<double> mean = chosen.calibration.FoldedMean(
      absl::MakeConstSpan(weights.mean).subspan(0, experts));
  parameters.idf_unseen = static_cast<float>(std::log(1.0 + static_cast<double>(rows.size())) + 1);
  parameters.lambda = lambda;
  parameters.dense_mean = weighting.dense_mean;
  parameters.dense_scale = weighting.dense_scale;
  for (size_t e = 0; e < experts; ++e) {
    parameters.mean.push_back(static_cast<float>(mean[e]));
    parameters.length_mean.push_back(static_cast<float>(weights.mean[experts + e]));
    parameters.mean_joules.push_back(outcomes.cost_unit == "joules" ? chosen.mean_cost[e] : 0.0f);
  }
  for (const float residual : chosen.residual) {
    parameters.residual.push_back(residual * static_cast<float>(chosen.calibration.own));
  }
  parameters.work_scale = chosen.work_scale;
  parameters.mean_quality = chosen.mean_quality;
  parameters.mean_tokens = chosen.mean_tokens;
  FittedQuality fitted;
  fitted.model = HashedLinearQuality::FromParameters(parameters);
  fitted.tensors = HashedLinearQuality::Tensors(parameters);
  fitted.metadata = HashedLinearQuality::Metadata(parameters, fitted.tensors);
  fitted.metadata["lambda"] = absl::StrCat(lambda);
  fitted.metadata["spread_common"] = absl::StrCat(chosen.calibration.common);
  fitted.metadata["spread_own"] = absl::StrCat(chosen.calibration.own);
  fitted.metadata["length_lambda"] = absl::StrCat(options_.length_lambda);
  return fitted;
}

absl::StatusOr<OutOfFold> HashedLinearTrainer::CrossValidate(const TextOutcomes& outcomes,
                                                             absl::Span<const int> fold,
                                                             int folds) const {
  // Lambda and calibration are a handful of numbers chosen on all folds' predictions together.
  const std::vector<size_t> rows = AllRows(outcomes);
  const Raw raw = Scores(outcomes, rows, fold, folds);
  const Chosen chosen = Choose(outcomes, rows, raw);
  OutOfFold result;
  result.quality = chosen.calibration.Apply(raw.quality[chosen.level]);
  result.work.assign(raw.length.size(), 1.0f);
  for (size_t at = 0; at < raw.length.size(); ++at) {
    const size_t e = at / rows.size();
    if (chosen.work_scale[e] > 0) {
      result.work[at] = std::exp(raw.length[at]) * chosen.work_scale[e];
    }
  }
  for (size_t level = 0; level < options_.grid.size(); ++level) {
    result.notes.emplace_back(absl::StrCat("lambda ", options_.grid[level]),
                              absl::StrCat(chosen.figure[level]));
  }
  result.notes.emplace_back("lambda chosen", absl::StrCat(options_.grid[chosen.level]));
  result.notes.emplace_back("spread common to the experts, times",
                            absl::StrCat(chosen.calibration.common));
  result.notes.emplace_back("spread of each by itself, times",
                            absl::StrCat(chosen.calibration.own));
  return result;
}

}  // namespace penstock::router
