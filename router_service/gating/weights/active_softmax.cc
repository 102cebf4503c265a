#include "router_service/gating/weights/active_softmax.h"

#include <algorithm>
#include <cmath>

#include "router_service/gating/weights/softmax.h"

namespace penstock::router {

size_t ActiveSoftmax(absl::Span<const double> logits, double temperature,
                     absl::Span<const double> thresholds, absl::Span<double> weights) {
  std::vector<double> scaled(logits.begin(), logits.end());
  for (double& logit : scaled) logit /= temperature;
  Softmax(scaled, weights);
  const size_t largest =
      static_cast<size_t>(std::max_element(weights.begin(), weights.end()) - weights.begin());
  size_t active = 0;
  double sum = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (!(weights[i] > thresholds[i])) weights[i] = 0;
    active += weights[i] > 0;
    sum += weights[i];
  }
  if (active == 0) {
    weights[largest] = 1;
    return 1;
  }
  for (double& weight : weights) weight /= sum;
  return active;
}

std::vector<double> CostAwareThresholds(double theta, absl::Span<const double> cost) {
  const double least = *std::min_element(cost.begin(), cost.end());
  std::vector<double> thresholds;
  for (const double c : cost) thresholds.push_back(theta * (c / least));
  return thresholds;
}

double TemperatureSchedule::At(double t) const {
  if (t <= 0) return start;
  if (t >= steps) return end;
  return shape == Shape::kLinear ? start - (start - end) * t / steps
                                 : std::max(start * std::pow(end / start, t / steps), end);
}

void ActiveSoftmaxWeights::Forward(absl::Span<const double> heads, absl::Span<const double> scalars,
                                   absl::Span<double> weights) const {
  static_cast<void>(scalars);
  ActiveSoftmax(heads, temperature_, thresholds_, weights);
}

// Which experts are active has no gradient; among them the weights are a softmax.
void ActiveSoftmaxWeights::Backward(absl::Span<const double> heads,
                                    absl::Span<const double> scalars,
                                    absl::Span<const double> weight_gradient,
                                    absl::Span<double> head_gradient,
                                    absl::Span<double> scalar_gradient) const {
  static_cast<void>(scalars);
  static_cast<void>(scalar_gradient);
  std::vector<double> weights(heads.size()), by_logit(heads.size(), 0.0);
  ActiveSoftmax(heads, temperature_, thresholds_, absl::MakeSpan(weights));
  AddSoftmaxGradient(weights, weight_gradient, absl::MakeSpan(by_logit));
  for (size_t i = 0; i < heads.size(); ++i) head_gradient[i] += by_logit[i] / temperature_;
}

}  // namespace penstock::router
