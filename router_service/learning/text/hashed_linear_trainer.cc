#include "router_service/learning/text/hashed_linear_trainer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "router_service/learning/text/sparse_ridge.h"
#include "router_service/learning/text/strength_blend.h"
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

// ln(length + kLengthOffset) of an entry, NaN = unknown.
float LogLength(float length) {
  return std::isnan(length) ? kUnknown : static_cast<float>(std::log(length + kLengthOffset));
}

// [rows, targets] = `levels` times the quality of every expert, then the lengths.
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
      to[levels * experts + e] = LogLength(lengths[at]);
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
struct HashedLinearTrainer::Calibrated {
  StrengthBlend quality, length;
  std::vector<float> out_of_fold;  // [experts, rows]: quality
  std::vector<float> work;         // [experts, rows]: 1 where no length is told
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

std::vector<std::pair<std::string, std::string>> HashedLinearTrainer::Notes(
    const StrengthBlend& quality, const StrengthBlend& length) const {
  std::vector<std::pair<std::string, std::string>> notes;
  for (size_t level = 0; level < options_.grid.size(); ++level) {
    const StrengthBlend::Part& part = quality.parts[level];
    const std::string lambda = absl::StrCat("_lambda_", options_.grid[level]);
    if (part.common > 0) notes.emplace_back("common" + lambda, absl::StrCat(part.common));
    if (part.own > 0) notes.emplace_back("own" + lambda, absl::StrCat(part.own));
  }
  notes.emplace_back("length_common", absl::StrCat(length.parts[0].common));
  notes.emplace_back("length_own", absl::StrCat(length.parts[0].own));
  return notes;
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

HashedLinearTrainer::Calibrated HashedLinearTrainer::Calibrate(const TextOutcomes& outcomes,
                                                               absl::Span<const size_t> rows,
                                                               const Raw& raw) {
  const size_t experts = outcomes.experts.size(), count = rows.size();
  const std::vector<float> lengths = AnswerLengths(outcomes);
  std::vector<float> quality(experts * count), log_length(experts * count);
  for (size_t e = 0; e < experts; ++e) {
    for (size_t i = 0; i < count; ++i) {
      const size_t from = outcomes.At(e, rows[i]);
      quality[e * count + i] = outcomes.quality[from];
      log_length[e * count + i] = LogLength(lengths[from]);
    }
  }
  Calibrated result;
  result.quality = StrengthBlend::Of(raw.quality, quality, experts);
  result.length = StrengthBlend::Of({&raw.length, 1}, log_length, experts);
  result.out_of_fold = result.quality.Apply(raw.quality);
  result.work = result.length.Apply({&raw.length, 1});
  for (size_t e = 0; e < experts; ++e) {
    double lengths_sum = 0, work_sum = 0, cost_sum = 0, costs = 0, labels = 0, right = 0;
    double told = 0, squares = 0;
    for (size_t i = 0; i < count; ++i) {
      const size_t from = outcomes.At(e, rows[i]), at = e * count + i;
      if (!std::isnan(quality[at])) {
        labels += 1;
        right += quality[at];
        const double off = quality[at] - result.out_of_fold[at];
        squares += off * off;
      }
      if (!std::isnan(outcomes.cost[from])) {
        costs += 1;
        cost_sum += outcomes.cost[from];
      }
      result.work[at] = std::exp(result.work[at]);
      if (std::isnan(lengths[from])) continue;
      told += 1;
      lengths_sum += lengths[from];
      work_sum += result.work[at];
    }
    // exp(prediction) times s over the mean length: 1 in the mean over out-of-fold rows, and told
    // lengths cancel out of s = mean length / mean exp(prediction).
    const bool has_length = told > 0 && work_sum > 0 && lengths_sum > 0;
    result.work_scale.push_back(has_length ? static_cast<float>(told / work_sum) : 0.0f);
    result.mean_cost.push_back(costs > 0 ? static_cast<float>(cost_sum / costs) : 0.0f);
    result.mean_quality.push_back(labels > 0 ? static_cast<float>(right / labels) : 0.5f);
    result.mean_tokens.push_back(has_length ? static_cast<float>(lengths_sum / told) : 0.0f);
    result.residual.push_back(labels > 0 ? static_cast<float>(std::sqrt(squares / labels)) : 0.0f);
    for (size_t at = e * count; at < (e + 1) * count; ++at) {
      result.out_of_fold[at] = HashedLinearQuality::Bounded(result.out_of_fold[at]);
      result.work[at] = has_length ? result.work[at] * result.work_scale[e] : 1.0f;
    }
  }
  return result;
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
  const Calibrated calibrated =
      Calibrate(outcomes, rows, Scores(outcomes, rows, fold, options_.folds));
  const StrengthBlend &quality = calibrated.quality, &length = calibrated.length;
  std::vector<size_t> used;  // of the grid
  std::vector<double> lambdas;
  for (size_t level = 0; level < options_.grid.size(); ++level) {
    if (!quality.Uses(level)) continue;
    used.push_back(level);
    lambdas.insert(lambdas.end(), experts, options_.grid[level]);
  }
  lambdas.insert(lambdas.end(), experts, options_.length_lambda);

  const FeatureWeighting weighting =
      FitWeighting(outcomes, rows, options_.dense_share, outcomes.counts.columns);
  const SparseRidge ridge(WeightedRows(outcomes, weighting, rows));
  const SparseRidge::Weights weights =
      ridge.Solve(Targets(outcomes, AnswerLengths(outcomes), rows, used.size()), lambdas);

  Parameters parameters;
  parameters.experts = outcomes.experts;
  parameters.buckets = outcomes.counts.columns;
  parameters.columns = weights.columns;
  for (const uint32_t column : weights.columns) {
    parameters.idf.push_back(column < weighting.idf.size() ? weighting.idf[column] : 1.0f);
  }
  parameters.squares = ridge.SquaresOfColumns();
  // Blends are linear maps of the experts' scores, so they go into the weights.
  std::vector<double> of_quality, of_length;
  parameters.weight.reserve(weights.columns.size() * 2 * experts);
  for (size_t place = 0; place < weights.columns.size(); ++place) {
    const absl::Span<const float> of_column =
        absl::MakeConstSpan(weights.weight).subspan(place * weights.targets, weights.targets);
    of_quality.assign(experts, 0.0);
    of_length.assign(experts, 0.0);
    for (size_t i = 0; i < used.size(); ++i) {
      quality.AddFolded(used[i], of_column.subspan(i * experts, experts),
                        absl::MakeSpan(of_quality));
    }
    length.AddFolded(0, of_column.subspan(used.size() * experts), absl::MakeSpan(of_length));
    parameters.weight.insert(parameters.weight.end(), of_quality.begin(), of_quality.end());
    parameters.weight.insert(parameters.weight.end(), of_length.begin(), of_length.end());
  }
  const auto off = [&](const StrengthBlend& blend, size_t level, size_t from) {
    std::vector<double> deviation;
    for (size_t e = 0; e < experts; ++e) {
      deviation.push_back(weights.mean[from + e] - blend.parts[level].prediction_mean[e]);
    }
    return deviation;
  };
  of_quality = quality.label_mean;
  of_length = length.label_mean;
  for (size_t i = 0; i < used.size(); ++i) {
    quality.AddFolded(used[i], off(quality, used[i], i * experts), absl::MakeSpan(of_quality));
  }
  length.AddFolded(0, off(length, 0, used.size() * experts), absl::MakeSpan(of_length));
  parameters.idf_unseen = static_cast<float>(std::log(1.0 + static_cast<double>(rows.size())) + 1);
  parameters.lambda = options_.grid[quality.own_strength];
  parameters.dense_mean = weighting.dense_mean;
  parameters.dense_scale = weighting.dense_scale;
  for (size_t e = 0; e < experts; ++e) {
    parameters.mean.push_back(static_cast<float>(of_quality[e]));
    parameters.length_mean.push_back(static_cast<float>(of_length[e]));
    parameters.mean_joules.push_back(outcomes.cost_unit == "joules" ? calibrated.mean_cost[e]
                                                                    : 0.0f);
  }
  for (const float residual : calibrated.residual) {
    parameters.residual.push_back(residual * static_cast<float>(quality.own_slope));
  }
  parameters.work_scale = calibrated.work_scale;
  parameters.mean_quality = calibrated.mean_quality;
  parameters.mean_tokens = calibrated.mean_tokens;
  FittedQuality fitted;
  fitted.model = HashedLinearQuality::FromParameters(parameters);
  fitted.tensors = HashedLinearQuality::Tensors(parameters);
  fitted.metadata = HashedLinearQuality::Metadata(parameters, fitted.tensors);
  for (const auto& [name, said] : Notes(quality, length)) fitted.metadata[name] = said;
  fitted.metadata["length_lambda"] = absl::StrCat(options_.length_lambda);
  return fitted;
}

absl::StatusOr<OutOfFold> HashedLinearTrainer::CrossValidate(const TextOutcomes& outcomes,
                                                             absl::Span<const int> fold,
                                                             int folds) const {
  // The blends are a handful of numbers fitted to all folds' predictions together.
  const std::vector<size_t> rows = AllRows(outcomes);
  Calibrated calibrated = Calibrate(outcomes, rows, Scores(outcomes, rows, fold, folds));
  OutOfFold result;
  result.notes = Notes(calibrated.quality, calibrated.length);
  result.quality = std::move(calibrated.out_of_fold);
  result.work = std::move(calibrated.work);
  return result;
}

}  // namespace penstock::router
