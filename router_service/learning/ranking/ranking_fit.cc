#include "router_service/learning/ranking/ranking_fit.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "router_service/learning/gates/least_squares.h"
#include "router_service/learning/linear/minimise.h"

namespace penstock::router {
namespace {

constexpr size_t kLeast = 10;
constexpr size_t kEvery = 5;  // the row or pair that is held out

// A head and its intercept, from rows with a column of ones at the end.
struct Head {
  std::vector<double> weight;
  double bias = 0;
  double ridge = 0;

  double Of(absl::Span<const float> x) const {
    double sum = bias;
    for (size_t i = 0; i < weight.size(); ++i) sum += weight[i] * x[i];
    return sum;
  }
};

class HeadFitter {
 public:
  HeadFitter(std::vector<float> x, size_t dimension)
      : x_(std::move(x)), dimension_(dimension), rows_(x_.size() / dimension) {
    for (size_t row = 0; row < rows_; ++row) {
      (row % kEvery == 0 ? heldout_ : fitted_).push_back(row);
    }
  }

  size_t rows() const { return rows_; }
  absl::Span<const float> Row(size_t row) const {
    return absl::MakeConstSpan(x_).subspan(row * dimension_, dimension_);
  }

  // The ridge by the held-out rows, then all rows.
  Head Fit(const std::vector<float>& y) const {
    double best = std::numeric_limits<double>::infinity(), ridge = 1;
    for (int power = -4; power <= 4; ++power) {
      const Head head = Solve(fitted_, y, std::pow(10.0, power));
      double error = 0;
      for (const size_t row : heldout_) {
        const double off = head.Of(Row(row)) - y[row];
        error += off * off;
      }
      if (error >= best) continue;
      best = error;
      ridge = std::pow(10.0, power);
    }
    std::vector<size_t> all(rows_);
    std::iota(all.begin(), all.end(), size_t{0});
    return Solve(all, y, ridge);
  }

 private:
  // The mean is taken out first, so that no ridge pulls it to 0.
  Head Solve(const std::vector<size_t>& rows, const std::vector<float>& y, double ridge) const {
    const double count = static_cast<double>(rows.size());
    std::vector<double> mean(dimension_, 0.0);
    double y_mean = 0;
    for (const size_t row : rows) {
      for (size_t d = 0; d < dimension_; ++d) mean[d] += Row(row)[d] / count;
      y_mean += y[row] / count;
    }
    std::vector<float> x, target;
    for (const size_t row : rows) {
      for (size_t d = 0; d < dimension_; ++d) {
        x.push_back(static_cast<float>(Row(row)[d] - mean[d]));
      }
      target.push_back(static_cast<float>(y[row] - y_mean));
    }
    std::vector<double> xs(x.begin(), x.end()), ys(target.begin(), target.end());
    Head head;
    head.weight = RidgeLeastSquares(xs, dimension_, ys, 1, ridge);
    head.ridge = ridge;
    head.bias = y_mean;
    for (size_t d = 0; d < dimension_; ++d) head.bias -= head.weight[d] * mean[d];
    return head;
  }

  const std::vector<float> x_;
  const size_t dimension_, rows_;
  std::vector<size_t> fitted_, heldout_;
};

double Spread(absl::Span<const double> values) {
  const double count = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / count);
}

std::vector<double> Ranks(absl::Span<const double> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (size_t i = 0; i < order.size();) {
    size_t end = i;
    while (end < order.size() && values[order[end]] == values[order[i]]) ++end;
    for (size_t j = i; j < end; ++j) ranks[order[j]] = static_cast<double>(i + end - 1) / 2;
    i = end;
  }
  return ranks;
}

// The least p, of the correlation's sign, with the correlation in bounds, in units of both spreads;
// of none the one with the least correlation.
struct Penalty {
  double p = 0, before = 0, after = 0;
};
Penalty Decorrelate(absl::Span<const double> reward, absl::Span<const double> length,
                    double most_correlation) {
  const double unit = Spread(length) > 0 ? Spread(reward) / Spread(length) : 0;
  Penalty best;
  best.before = best.after = SpearmanCorrelation(reward, length);
  for (int step = 0; step < 20; ++step) {
    const double p = (best.before < 0 ? -0.05 : 0.05) * step * unit;
    std::vector<double> left(reward.begin(), reward.end());
    for (size_t i = 0; i < left.size(); ++i) left[i] -= p * length[i];
    const double correlation = SpearmanCorrelation(left, length);
    if (std::abs(correlation) < std::abs(best.after)) {
      best.after = correlation;
      best.p = p;
    }
    if (std::abs(correlation) <= most_correlation) return {p, best.before, correlation};
  }
  return best;
}

// What a pair is for the gate: its prompt's features, and R' of chosen less rejected.
struct PairRow {
  std::vector<float> prompt;
  std::vector<double> difference;
};

double Margin(const RankingModel& model, const PairRow& row, std::vector<double>& weights) {
  weights = model.Weights(row.prompt);
  double margin = 0;
  for (size_t k = 0; k < weights.size(); ++k) margin += weights[k] * row.difference[k];
  return margin;
}

double Softplus(double x) { return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }

// Parameters: U [K, d], u [K], log scale.
void Unpack(const std::vector<double>& x, size_t dimension, RankingModel& model) {
  const size_t k = model.objectives.size();
  model.gate.assign(x.begin(), x.begin() + static_cast<std::ptrdiff_t>(k * dimension));
  model.gate_bias.assign(x.begin() + static_cast<std::ptrdiff_t>(k * dimension), x.end() - 1);
  model.scale = std::exp(x.back());
}

double PreferenceLoss(const RankingModel& model, const std::vector<PairRow>& pairs,
                      const std::vector<size_t>& taken) {
  std::vector<double> weights;
  double loss = 0;
  for (const size_t i : taken) loss += Softplus(-model.scale * Margin(model, pairs[i], weights));
  return loss / static_cast<double>(taken.size());
}

void FitGate(const std::vector<PairRow>& pairs, const std::vector<size_t>& taken, double l2,
             RankingModel& model) {
  const size_t k = model.objectives.size(), dimension = pairs[0].prompt.size();
  std::vector<double> x(k * dimension + k + 1, 0.0);
  std::vector<double> weights;
  const double count = static_cast<double>(taken.size());
  Minimise(
      [&](const std::vector<double>& at, std::vector<double>& gradient) {
        Unpack(at, dimension, model);
        gradient.assign(at.size(), 0.0);
        double loss = 0;
        for (size_t i = 0; i + 1 < at.size(); ++i) {
          loss += l2 / 2 * at[i] * at[i];
          gradient[i] = l2 * at[i];
        }
        for (const size_t i : taken) {
          const PairRow& row = pairs[i];
          const double margin = Margin(model, row, weights);
          loss += Softplus(-model.scale * margin) / count;
          const double slope = -1 / (1 + std::exp(model.scale * margin)) / count;
          gradient.back() += slope * model.scale * margin;
          for (size_t j = 0; j < k; ++j) {
            const double of_logit =
                slope * model.scale * weights[j] * (row.difference[j] - margin) / model.temperature;
            for (size_t d = 0; d < dimension; ++d) {
              gradient[j * dimension + d] += of_logit * row.prompt[d];
            }
            gradient[k * dimension + j] += of_logit;
          }
        }
        return loss;
      },
      x);
  Unpack(x, dimension, model);
}

double ShareRight(const RankingModel& model, const std::vector<PairRow>& pairs,
                  const std::vector<size_t>& taken) {
  std::vector<double> weights;
  double right = 0;
  for (const size_t i : taken) right += Margin(model, pairs[i], weights) > 0 ? 1 : 0;
  return right / static_cast<double>(taken.size());
}

absl::Status Check(const MarkedAnswers& answers, absl::Span<const PreferredPair> pairs) {
  const size_t rows = answers.rows(), k = answers.objectives.size();
  if (k == 0) return absl::InvalidArgumentError("no objectives");
  if (answers.answers.size() != rows || answers.lengths.size() != rows ||
      answers.marks.size() != rows * k) {
    return absl::InvalidArgumentError(
        absl::StrCat("wanted ", rows, " answers, lengths and rows of ", k, " marks, got ",
                     answers.answers.size(), ", ", answers.lengths.size(), " and ",
                     answers.marks.size(), " marks"));
  }
  if (rows < kLeast || pairs.size() < kLeast) {
    return absl::InvalidArgumentError(absl::StrCat("wanted at least ", kLeast,
                                                   " marked answers and pairs, got ", rows, " and ",
                                                   pairs.size()));
  }
  const auto finite = [](float value) { return std::isfinite(value); };
  if (std::all_of(answers.marks.begin(), answers.marks.end(), finite) &&
      std::all_of(answers.lengths.begin(), answers.lengths.end(), finite)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError("a mark or a length is not finite");
}

}  // namespace

double SpearmanCorrelation(absl::Span<const double> a, absl::Span<const double> b) {
  const std::vector<double> x = Ranks(a), y = Ranks(b);
  const double mean = (static_cast<double>(x.size()) - 1) / 2;
  double xy = 0, xx = 0, yy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mean) * (y[i] - mean);
    xx += (x[i] - mean) * (x[i] - mean);
    yy += (y[i] - mean) * (y[i] - mean);
  }
  return xx > 0 && yy > 0 ? xy / std::sqrt(xx * yy) : 0;
}

absl::StatusOr<RankingFit> FitRanking(const MarkedAnswers& answers,
                                      absl::Span<const PreferredPair> pairs,
                                      const RankingFeatures& features,
                                      const RankingOptions& options) {
  PENSTOCK_RETURN_IF_ERROR(Check(answers, pairs));
  if (!(options.temperature > 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("temperature is ", options.temperature, ", wanted above 0"));
  }
  const size_t rows = answers.rows(), k = answers.objectives.size();
  RankingFit fit;
  RankingModel& model = fit.model;
  model.objectives = answers.objectives;
  model.temperature = options.temperature;
  std::vector<float> x;
  for (size_t row = 0; row < rows; ++row) {
    const std::vector<float> e = features.Answer(answers.prompts[row], answers.answers[row]);
    x.insert(x.end(), e.begin(), e.end());
  }
  const HeadFitter fitter(std::move(x), features.answer_dimension());
  const auto predict = [&](const Head& head) {
    std::vector<double> values;
    for (size_t row = 0; row < rows; ++row) values.push_back(head.Of(fitter.Row(row)));
    return values;
  };
  const Head length = fitter.Fit(answers.lengths);
  const std::vector<double> lengths = predict(length);
  model.length_head.assign(length.weight.begin(), length.weight.end());
  model.length_bias = static_cast<float>(length.bias);
  for (size_t objective = 0; objective < k; ++objective) {
    std::vector<float> marks(rows);
    for (size_t row = 0; row < rows; ++row) marks[row] = answers.marks[row * k + objective];
    const Head head = fitter.Fit(marks);
    const Penalty penalty = Decorrelate(predict(head), lengths, options.most_correlation);
    model.heads.insert(model.heads.end(), head.weight.begin(), head.weight.end());
    model.heads_bias.push_back(static_cast<float>(head.bias));
    model.penalty.push_back(static_cast<float>(penalty.p));
    fit.ridge.push_back(head.ridge);
    fit.correlation_before.push_back(penalty.before);
    fit.correlation_after.push_back(penalty.after);
  }
  fit.ridge.push_back(length.ridge);

  std::vector<PairRow> pair_rows;
  std::vector<size_t> fitted, heldout;
  for (size_t i = 0; i < pairs.size(); ++i) {
    PairRow& row = pair_rows.emplace_back();
    row.prompt = features.Prompt(pairs[i].prompt);
    row.difference = model.Rewards(features.Answer(pairs[i].prompt, pairs[i].chosen));
    const std::vector<double> rejected =
        model.Rewards(features.Answer(pairs[i].prompt, pairs[i].rejected));
    for (size_t j = 0; j < k; ++j) row.difference[j] -= rejected[j];
    (i % kEvery == 0 ? heldout : fitted).push_back(i);
  }
  fit.fitted_pairs = fitted.size();
  fit.heldout_pairs = heldout.size();
  model.gate.assign(k * features.prompt_dimension(), 0.0f);
  model.gate_bias.assign(k, 0.0f);
  fit.loss_before = PreferenceLoss(model, pair_rows, fitted);
  fit.heldout_right_equal = ShareRight(model, pair_rows, heldout);
  FitGate(pair_rows, fitted, options.l2, model);
  fit.loss_after = PreferenceLoss(model, pair_rows, fitted);
  fit.heldout_right = ShareRight(model, pair_rows, heldout);
  return fit;
}

}  // namespace penstock::router
