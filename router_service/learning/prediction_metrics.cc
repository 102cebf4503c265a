#include "router_service/learning/prediction_metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace penstock::router {
namespace {

template <typename Term>
double MeanOver(absl::Span<const float> probabilities, absl::Span<const float> labels, Term term) {
  double sum = 0, count = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (std::isnan(labels[i])) continue;
    sum += term(static_cast<double>(probabilities[i]), static_cast<double>(labels[i]));
    count += 1;
  }
  return count > 0 ? sum / count : 0;
}

}  // namespace

double BrierScore(absl::Span<const float> probabilities, absl::Span<const float> labels) {
  return MeanOver(probabilities, labels, [](double p, double y) { return (p - y) * (p - y); });
}

double LogLoss(absl::Span<const float> probabilities, absl::Span<const float> labels) {
  return MeanOver(probabilities, labels, [](double p, double y) {
    p = std::clamp(p, 1e-7, 1 - 1e-7);
    return -(y * std::log(p) + (1 - y) * std::log(1 - p));
  });
}

double CalibrationError(absl::Span<const float> probabilities, absl::Span<const float> labels,
                        size_t bins) {
  std::vector<size_t> order;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (!std::isnan(labels[i])) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return probabilities[a] < probabilities[b]; });
  double error = 0;
  for (size_t bin = 0; bin < bins; ++bin) {
    const size_t first = bin * order.size() / bins, last = (bin + 1) * order.size() / bins;
    double gap = 0;
    for (size_t i = first; i < last; ++i) gap += probabilities[order[i]] - labels[order[i]];
    error += std::abs(gap);
  }
  return order.empty() ? 0 : error / static_cast<double>(order.size());
}

Fit FitOf(absl::Span<const float> probabilities, absl::Span<const float> labels) {
  return {BrierScore(probabilities, labels), CalibrationError(probabilities, labels),
          LogLoss(probabilities, labels)};
}

double SymmetricDivergence(absl::Span<const float> p, absl::Span<const float> q) {
  double sum = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    if (p[i] == q[i]) continue;
    if (p[i] <= 0 || q[i] <= 0) return std::numeric_limits<double>::infinity();
    sum += (static_cast<double>(p[i]) - q[i]) * std::log(static_cast<double>(p[i]) / q[i]);
  }
  return sum;
}

}  // namespace penstock::router
