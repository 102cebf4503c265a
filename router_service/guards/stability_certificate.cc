#include "router_service/guards/stability_certificate.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace penstock::router {
namespace {

// Unit roundoff of fp32.
constexpr double kRoundoff = 0x1p-24;

}  // namespace

StabilityCertificate::StabilityCertificate(absl::Span<const float> weight,
                                           absl::Span<const float> bias, size_t dimension)
    : dimension_(dimension),
      norm_(bias.size()),
      bias_(bias.size()),
      distance_(bias.size() * bias.size()) {
  const size_t experts = bias.size();
  for (size_t i = 0; i < experts; ++i) {
    const auto row = weight.subspan(i * dimension, dimension);
    bias_[i] = std::abs(static_cast<double>(bias[i]));
    double squares = 0;
    for (const float value : row) squares += static_cast<double>(value) * value;
    norm_[i] = std::sqrt(squares);
    for (size_t j = 0; j < i; ++j) {
      const auto other = weight.subspan(j * dimension, dimension);
      double apart = 0;
      for (size_t at = 0; at < dimension; ++at) {
        const double difference = static_cast<double>(row[at]) - other[at];
        apart += difference * difference;
      }
      distance_[i * experts + j] = distance_[j * experts + i] = std::sqrt(apart);
    }
  }
}

double StabilityCertificate::Radius(absl::Span<const float> z, absl::Span<const float> logits,
                                    absl::Span<const uint8_t> admissible, size_t k) const {
  std::vector<size_t> order;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (!admissible.empty() && admissible[i] == 0) continue;
    if (!std::isfinite(logits[i])) return 0;
    order.push_back(i);
  }
  k = std::min(k, order.size());
  if (k == 0) return 0;
  const auto before = [&](size_t a, size_t b) {
    return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
  };
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(k), order.end(),
                    before);
  double squares = 0;
  for (const float value : z) squares += static_cast<double>(value) * value;
  const double length = std::sqrt(squares);
  // A sum of n products and a bias in any order is off by at most gamma (|w| . |z| + |b|), Higham,
  // Accuracy and Stability of Numerical Algorithms, 3.1; here and at z + delta, for both logits.
  const double terms = static_cast<double>(dimension_) + 2;
  const double gamma = terms * kRoundoff / (1 - terms * kRoundoff);
  double radius = std::numeric_limits<double>::infinity();
  for (size_t a = 0; a < k; ++a) {
    const size_t i = order[a];
    for (size_t b = k; b < order.size(); ++b) {
      const size_t j = order[b];
      const double norms = norm_[i] + norm_[j];
      const double rounding = 2 * gamma * (norms * length + bias_[i] + bias_[j]);
      const double margin = static_cast<double>(logits[i]) - logits[j];
      const double apart = distance_[i * experts() + j];
      // The same weights: the difference is the biases', whatever z is.
      if (apart == 0 && norms == 0 && margin > 0) continue;
      radius = std::min(radius, std::max(0.0, margin - rounding) / (apart + gamma * norms));
    }
  }
  return radius;
}

}  // namespace penstock::router
