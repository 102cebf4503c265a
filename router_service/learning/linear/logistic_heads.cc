#include "router_service/learning/linear/logistic_heads.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "router_service/learning/calibration.h"

namespace penstock::router {
namespace {

double Softplus(double x) { return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }

struct HeadLabels {
  double count = 0, right = 0;
  bool Varies() const { return right > 0 && right < count; }
  double Constant() const { return Varies() ? right / count : (right + 0.5) / (count + 1); }
};

HeadLabels Count(absl::Span<const float> labels) {
  HeadLabels result;
  for (const float label : labels) {
    if (std::isnan(label)) continue;
    result.count += 1;
    result.right += label;
  }
  return result;
}

}  // namespace

const std::vector<double>& LogisticPenalties() {
  static const std::vector<double> penalties = {3, 1, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001};
  return penalties;
}

float LogisticHeads::Predict(size_t head, absl::Span<const float> z) const {
  double score = bias[head];
  for (size_t j = 0; j < dimension; ++j) {
    score += static_cast<double>(weight[head * dimension + j]) * z[j];
  }
  return static_cast<float>(1 / (1 + std::exp(-score)));
}

void FitLogistic(const LinearDesign& design, absl::Span<const float> labels, size_t heads,
                 double l2, const MinimiseOptions& options, std::vector<double>& parameters) {
  const size_t rows = design.rows();
  std::vector<double> share(heads, 0.0);
  for (size_t h = 0; h < heads; ++h) {
    const double count = Count(labels.subspan(h * rows, rows)).count;
    if (count > 0) share[h] = 1 / count;
  }
  std::vector<float> scores, residuals(heads * rows);
  const Objective objective = [&](const std::vector<double>& x, std::vector<double>& gradient) {
    design.Scores(x, heads, scores);
    double loss = 0;
    for (size_t h = 0; h < heads; ++h) {
      for (size_t at = h * rows; at < (h + 1) * rows; ++at) {
        residuals[at] = 0;
        if (std::isnan(labels[at])) continue;
        const double t = scores[at];
        loss += share[h] * (Softplus(t) - labels[at] * t);
        residuals[at] = static_cast<float>(share[h] * (1 / (1 + std::exp(-t)) - labels[at]));
      }
    }
    design.Gradient(residuals, heads, gradient);
    return loss + RidgePenalty(x, design.dimension(), l2, absl::MakeSpan(gradient));
  };
  Minimise(objective, parameters, options);
}

LogisticHeads FitCalibratedHeads(absl::Span<const float> x, size_t dimension,
                                 absl::Span<const float> labels, size_t heads,
                                 absl::Span<const int> fold, const HeadsOptions& options) {
  const size_t rows = fold.size(), width = dimension + 1, levels = options.l2_grid.size();
  const Standardisation standardisation = Standardisation::Of(x, rows, dimension);
  const std::vector<float> standard = standardisation.Apply(x);
  // Out-of-fold scores [level, head, row].
  std::vector<float> scores(levels * heads * rows, 0.0f);
  for (int out = 0; out < options.folds; ++out) {
    std::vector<size_t> in_rows, out_rows;
    for (size_t row = 0; row < rows; ++row) (fold[row] == out ? out_rows : in_rows).push_back(row);
    if (in_rows.empty() || out_rows.empty()) continue;
    const LinearDesign in(standard, dimension, in_rows), held(standard, dimension, out_rows);
    const std::vector<float> in_labels = Columns(labels, heads, in_rows);
    std::vector<double> parameters(heads * width, 0.0);
    std::vector<float> held_scores;
    for (size_t level = 0; level < levels; ++level) {
      FitLogistic(in, in_labels, heads, options.l2_grid[level], {100, 1e-4}, parameters);
      held.Scores(parameters, heads, held_scores);
      for (size_t h = 0; h < heads; ++h) {
        for (size_t i = 0; i < out_rows.size(); ++i) {
          scores[(level * heads + h) * rows + out_rows[i]] = held_scores[h * out_rows.size() + i];
        }
      }
    }
  }
  std::vector<size_t> best(heads, 0);
  LogisticHeads result;
  result.dimension = dimension;
  result.weight.assign(heads * dimension, 0.0f);
  result.bias.assign(heads, 0.0f);
  result.mean.assign(heads, 0.5);
  result.tau.assign(heads, 1.0);
  result.l2.assign(heads, 0.0);
  std::vector<Calibration> calibrations(heads);
  for (size_t h = 0; h < heads; ++h) {
    const absl::Span<const float> of_head = labels.subspan(h * rows, rows);
    double least = std::numeric_limits<double>::infinity();
    for (size_t level = 0; level < levels; ++level) {
      double loss = 0;
      for (size_t row = 0; row < rows; ++row) {
        if (std::isnan(of_head[row])) continue;
        const double t = scores[(level * heads + h) * rows + row];
        loss += Softplus(t) - of_head[row] * t;
      }
      if (loss < least) {
        least = loss;
        best[h] = level;
      }
    }
    calibrations[h] = FitCalibration(
        absl::MakeConstSpan(scores).subspan((best[h] * heads + h) * rows, rows), of_head);
  }
  std::vector<size_t> all(rows);
  std::iota(all.begin(), all.end(), size_t{0});
  const LinearDesign design(standard, dimension, all);
  std::vector<double> parameters(heads * width, 0.0);
  for (size_t level = 0; level < levels; ++level) {
    if (level > *std::max_element(best.begin(), best.end())) break;
    FitLogistic(design, labels, heads, options.l2_grid[level], {300, 1e-6}, parameters);
    for (size_t h = 0; h < heads; ++h) {
      if (best[h] != level) continue;
      const HeadLabels counted = Count(labels.subspan(h * rows, rows));
      result.mean[h] = counted.Constant();
      result.l2[h] = options.l2_grid[level];
      double bias = std::log(result.mean[h] / (1 - result.mean[h]));
      if (counted.Varies()) {
        std::vector<double> weight(
            parameters.begin() + static_cast<std::ptrdiff_t>(h * width),
            parameters.begin() + static_cast<std::ptrdiff_t>((h + 1) * width));
        bias = weight.back();
        weight.pop_back();
        standardisation.Fold(absl::MakeSpan(weight), bias);
        result.tau[h] = calibrations[h].tau;
        bias = calibrations[h].offset + bias / result.tau[h];
        for (size_t j = 0; j < dimension; ++j) {
          result.weight[h * dimension + j] = static_cast<float>(weight[j] / result.tau[h]);
        }
      }
      result.bias[h] = static_cast<float>(bias);
    }
  }
  return result;
}

}  // namespace penstock::router
