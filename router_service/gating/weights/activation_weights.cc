#include "router_service/gating/weights/activation_weights.h"

#include <cmath>
#include <vector>

#include "router_service/gating/weights/softmax.h"

namespace penstock::router {
namespace {

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double NormalBelow(double x) { return 0.5 * std::erfc(-x * M_SQRT1_2); }
double NormalDensity(double x) { return std::exp(-0.5 * x * x) * 0.5 * M_SQRT1_2 * M_2_SQRTPI; }

}  // namespace

double Activate(Activation activation, double x) {
  switch (activation) {
    case config::v1::ActivationGate::TANH:
      return std::tanh(x);
    case config::v1::ActivationGate::SIGMOID:
      return Sigmoid(x);
    case config::v1::ActivationGate::GELU:
      return x * NormalBelow(x);
    default:
      return x;  // IDENTITY; no other value passes the configuration's reader
  }
}

double ActivationSlope(Activation activation, double x) {
  switch (activation) {
    case config::v1::ActivationGate::TANH:
      return 1 - std::tanh(x) * std::tanh(x);
    case config::v1::ActivationGate::SIGMOID:
      return Sigmoid(x) * (1 - Sigmoid(x));
    case config::v1::ActivationGate::GELU:
      return NormalBelow(x) + x * NormalDensity(x);
    default:
      return 1;
  }
}

double ActivationWeights::RawTemperature(double temperature) {
  return std::log(std::expm1(temperature - kFloor));
}

double ActivationWeights::TemperatureOf(double raw) {
  return kFloor + (raw > 0 ? raw + std::log1p(std::exp(-raw)) : std::log1p(std::exp(raw)));
}

double ActivationWeights::Temperature(absl::Span<const double> scalars) const {
  return fixed_temperature_ ? *fixed_temperature_ : TemperatureOf(scalars[experts_]);
}

void ActivationWeights::Forward(absl::Span<const double> heads, absl::Span<const double> scalars,
                                absl::Span<double> weights) const {
  const double tau = Temperature(scalars);
  std::vector<double> logits(experts_);
  for (size_t i = 0; i < experts_; ++i) {
    logits[i] = (Activate(activation_, heads[i]) + scalars[i]) / tau;
  }
  Softmax(logits, weights);
}

void ActivationWeights::Backward(absl::Span<const double> heads, absl::Span<const double> scalars,
                                 absl::Span<const double> weight_gradient,
                                 absl::Span<double> head_gradient,
                                 absl::Span<double> scalar_gradient) const {
  const double tau = Temperature(scalars);
  std::vector<double> weights(experts_), by_logit(experts_, 0.0);
  Forward(heads, scalars, absl::MakeSpan(weights));
  AddSoftmaxGradient(weights, weight_gradient, absl::MakeSpan(by_logit));
  double by_tau = 0;
  for (size_t i = 0; i < experts_; ++i) {
    head_gradient[i] += by_logit[i] / tau * ActivationSlope(activation_, heads[i]);
    scalar_gradient[i] += by_logit[i] / tau;
    by_tau -= by_logit[i] * (Activate(activation_, heads[i]) + scalars[i]) / (tau * tau);
  }
  if (!fixed_temperature_) scalar_gradient[experts_] += by_tau * Sigmoid(scalars[experts_]);
}

}  // namespace penstock::router
