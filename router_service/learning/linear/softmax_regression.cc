#include "router_service/learning/linear/softmax_regression.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace penstock::router {
namespace {

// Cross-entropy of row i; `probabilities`, if given, becomes softmax of its scores.
double RowLoss(absl::Span<const float> scores, absl::Span<const float> targets, size_t classes,
               size_t rows, size_t i, std::vector<double>* probabilities) {
  double largest = scores[i], mass = 0, expected = 0, weight = 0;
  for (size_t c = 1; c < classes; ++c) largest = std::max<double>(largest, scores[c * rows + i]);
  for (size_t c = 0; c < classes; ++c) {
    const double e = std::exp(scores[c * rows + i] - largest);
    if (probabilities != nullptr) (*probabilities)[c] = e;
    mass += e;
    expected += targets[c * rows + i] * scores[c * rows + i];
    weight += targets[c * rows + i];
  }
  if (probabilities != nullptr) {
    for (double& p : *probabilities) p /= mass;
  }
  return weight * (largest + std::log(mass)) - expected;
}

double RowWeight(absl::Span<const float> targets, size_t classes, size_t rows, size_t i) {
  double weight = 0;
  for (size_t c = 0; c < classes; ++c) weight += targets[c * rows + i];
  return weight;
}

}  // namespace

void FitSoftmax(const LinearDesign& design, absl::Span<const float> targets, size_t classes,
                double l2, const MinimiseOptions& options, std::vector<double>& parameters) {
  const size_t rows = design.rows();
  double total = 0;
  for (size_t i = 0; i < rows; ++i) total += RowWeight(targets, classes, rows, i);
  if (!(total > 0)) return;
  std::vector<float> scores, residuals(classes * rows);
  std::vector<double> probabilities(classes);
  const Objective objective = [&](const std::vector<double>& x, std::vector<double>& gradient) {
    design.Scores(x, classes, scores);
    double loss = 0;
    for (size_t i = 0; i < rows; ++i) {
      const double weight = RowWeight(targets, classes, rows, i);
      loss += RowLoss(scores, targets, classes, rows, i, &probabilities) / total;
      for (size_t c = 0; c < classes; ++c) {
        residuals[c * rows + i] =
            static_cast<float>((weight * probabilities[c] - targets[c * rows + i]) / total);
      }
    }
    design.Gradient(residuals, classes, gradient);
    return loss + RidgePenalty(x, design.dimension(), l2, absl::MakeSpan(gradient));
  };
  Minimise(objective, parameters, options);
}

SoftmaxFit FitSoftmaxByFolds(absl::Span<const float> x, size_t dimension,
                             absl::Span<const float> targets, size_t classes,
                             absl::Span<const int> fold, int folds,
                             absl::Span<const double> l2_grid) {
  const size_t rows = fold.size(), width = dimension + 1;
  const Standardisation standardisation = Standardisation::Of(x, rows, dimension);
  const std::vector<float> standard = standardisation.Apply(x);
  std::vector<double> losses(l2_grid.size(), 0.0);
  for (int out = 0; out < folds; ++out) {
    std::vector<size_t> in_rows, out_rows;
    for (size_t row = 0; row < rows; ++row) (fold[row] == out ? out_rows : in_rows).push_back(row);
    if (in_rows.empty() || out_rows.empty()) continue;
    const LinearDesign in(standard, dimension, in_rows), held(standard, dimension, out_rows);
    const std::vector<float> in_targets = Columns(targets, classes, in_rows);
    const std::vector<float> out_targets = Columns(targets, classes, out_rows);
    std::vector<double> parameters(classes * width, 0.0);
    std::vector<float> scores;
    for (size_t level = 0; level < l2_grid.size(); ++level) {
      FitSoftmax(in, in_targets, classes, l2_grid[level], {100, 1e-4}, parameters);
      held.Scores(parameters, classes, scores);
      for (size_t i = 0; i < out_rows.size(); ++i) {
        losses[level] += RowLoss(scores, out_targets, classes, out_rows.size(), i, nullptr);
      }
    }
  }
  const size_t best =
      static_cast<size_t>(std::min_element(losses.begin(), losses.end()) - losses.begin());
  std::vector<size_t> all(rows);
  std::iota(all.begin(), all.end(), size_t{0});
  const LinearDesign design(standard, dimension, all);
  std::vector<double> parameters(classes * width, 0.0);
  for (size_t level = 0; level <= best; ++level) {
    FitSoftmax(design, targets, classes, l2_grid[level], {300, 1e-6}, parameters);
  }
  SoftmaxFit result;
  result.l2 = l2_grid[best];
  for (size_t c = 0; c < classes; ++c) {
    const auto first = parameters.begin() + static_cast<std::ptrdiff_t>(c * width);
    std::vector<double> weight(first, first + static_cast<std::ptrdiff_t>(dimension));
    double bias = parameters[c * width + dimension];
    standardisation.Fold(absl::MakeSpan(weight), bias);
    result.weight.insert(result.weight.end(), weight.begin(), weight.end());
    result.bias.push_back(static_cast<float>(bias));
  }
  return result;
}

}  // namespace penstock::router
