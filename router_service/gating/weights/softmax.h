#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "absl/types/span.h"

namespace penstock::router {

// weights = softmax(logits), both of one size above 0. A logit of -infinity weighs nothing; at
// least one is finite.
inline void Softmax(absl::Span<const double> logits, absl::Span<double> weights) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    weights[i] = std::exp(logits[i] - largest);
    sum += weights[i];
  }
  for (double& weight : weights) weight /= sum;
}

// Adds to logit_gradient that of a loss whose gradient by weights = softmax(logits) is
// weight_gradient.
inline void AddSoftmaxGradient(absl::Span<const double> weights,
                               absl::Span<const double> weight_gradient,
                               absl::Span<double> logit_gradient) {
  double mean = 0;
  for (size_t i = 0; i < weights.size(); ++i) mean += weights[i] * weight_gradient[i];
  for (size_t i = 0; i < weights.size(); ++i) {
    logit_gradient[i] += weights[i] * (weight_gradient[i] - mean);
  }
}

}  // namespace penstock::router
