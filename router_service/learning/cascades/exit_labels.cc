#include "router_service/learning/cascades/exit_labels.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "router_service/learning/linear/minimise.h"

namespace penstock::router {
namespace {

constexpr double kL2 =
    1e-3;  // four standardised features and hundreds of rows: little to hold back

double Softplus(double x) { return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }

struct Scale {
  double mean = 0, deviation = 1;
};

Scale ScaleOf(absl::Span<const double> x, size_t dimension, size_t column, size_t rows) {
  Scale scale;
  double squares = 0;
  for (size_t row = 0; row < rows; ++row) {
    scale.mean += x[row * dimension + column];
    squares += x[row * dimension + column] * x[row * dimension + column];
  }
  scale.mean /= static_cast<double>(rows);
  squares = squares / static_cast<double>(rows) - scale.mean * scale.mean;
  // A feature that never varies says nothing, whatever it is divided by.
  scale.deviation = squares > 1e-12 ? std::sqrt(squares) : 1;
  return scale;
}

}  // namespace

size_t BestExit(absl::Span<const float> loss, absl::Span<const double> cumulative_cost,
                double tradeoff) {
  size_t best = 0;
  for (size_t stage = 1; stage < loss.size(); ++stage) {
    const double at_best = loss[best] + tradeoff * cumulative_cost[best];
    if (loss[stage] + tradeoff * cumulative_cost[stage] < at_best) best = stage;
  }
  return best;
}

std::vector<double> CumulativeCost(absl::Span<const double> cost) {
  std::vector<double> sums(cost.size());
  std::partial_sum(cost.begin(), cost.end(), sums.begin());
  const double all = sums.back();
  for (double& sum : sums) sum = all > 0 ? sum / all : 0;
  sums.back() = 1;
  return sums;
}

std::vector<float> FitWeightedLogistic(absl::Span<const double> x, size_t dimension,
                                       absl::Span<const int> labels, double positive_weight) {
  const size_t rows = labels.size();
  const double count = static_cast<double>(rows);
  const double positives = static_cast<double>(
      std::count_if(labels.begin(), labels.end(), [](int y) { return y != 0; }));
  std::vector<float> weight(dimension + 1, 0.0f);
  if (positives == 0 || positives == count) {
    const double p = (positives + 0.5) / (count + 1);
    weight[dimension] = static_cast<float>(std::log(p / (1 - p)));
    return weight;
  }
  std::vector<Scale> scales;
  for (size_t i = 0; i < dimension; ++i) scales.push_back(ScaleOf(x, dimension, i, rows));
  const double total = positives * positive_weight + count - positives;
  const auto loss = [&](const std::vector<double>& w, std::vector<double>& gradient) {
    std::fill(gradient.begin(), gradient.end(), 0.0);
    double sum = 0;
    for (size_t row = 0; row < rows; ++row) {
      double logit = w[dimension];
      const auto feature = [&](size_t i) {
        return (x[row * dimension + i] - scales[i].mean) / scales[i].deviation;
      };
      for (size_t i = 0; i < dimension; ++i) logit += w[i] * feature(i);
      const double weighs = labels[row] ? positive_weight : 1;
      sum += weighs * (labels[row] ? Softplus(-logit) : Softplus(logit));
      const double slope = weighs * (1 / (1 + std::exp(-logit)) - (labels[row] ? 1 : 0));
      for (size_t i = 0; i < dimension; ++i) gradient[i] += slope * feature(i) / total;
      gradient[dimension] += slope / total;
    }
    sum /= total;
    for (size_t i = 0; i < dimension; ++i) {
      sum += kL2 / 2 * w[i] * w[i];
      gradient[i] += kL2 * w[i];
    }
    return sum;
  };
  std::vector<double> w(dimension + 1, 0.0);
  Minimise(loss, w);
  double offset = w[dimension];
  for (size_t i = 0; i < dimension; ++i) {
    weight[i] = static_cast<float>(w[i] / scales[i].deviation);
    offset -= w[i] * scales[i].mean / scales[i].deviation;
  }
  weight[dimension] = static_cast<float>(offset);
  return weight;
}

}  // namespace penstock::router
