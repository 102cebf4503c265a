#pragma once

#include <cstddef>
#include <optional>

#include "absl/types/span.h"
#include "penstock/config/v1/router.pb.h"
#include "router_service/gating/weights/gate_weights.h"

namespace penstock::router {

using Activation = config::v1::ActivationGate::Activation;

// psi and its derivative. GELU is x times the normal distribution's mass below x: Hendrycks and
// Gimpel 2016, arXiv:1606.08415.
double Activate(Activation activation, double x);
double ActivationSlope(Activation activation, double x);

// g = softmax((psi(heads) + b) / tau), Nguyen et al. 2024, arXiv:2401.13875. Heads [experts].
// Scalars: b [experts] and, unless the temperature is fixed, the r of tau = 0.05 + log(1 + e^r).
class ActivationWeights final : public GateWeights {
 public:
  // INVALID use is the caller's to prevent: IDENTITY wants a fixed temperature, which is above 0.
  ActivationWeights(size_t experts, Activation activation,
                    std::optional<double> fixed_temperature = std::nullopt)
      : experts_(experts), activation_(activation), fixed_temperature_(fixed_temperature) {}

  static constexpr double kFloor = 0.05;
  // r of a temperature above kFloor, and the temperature of an r.
  static double RawTemperature(double temperature);
  static double TemperatureOf(double raw);

  size_t experts() const override { return experts_; }
  size_t heads() const override { return experts_; }
  size_t scalars() const override { return experts_ + (fixed_temperature_ ? 0 : 1); }
  void Forward(absl::Span<const double> heads, absl::Span<const double> scalars,
               absl::Span<double> weights) const override;
  void Backward(absl::Span<const double> heads, absl::Span<const double> scalars,
                absl::Span<const double> weight_gradient, absl::Span<double> head_gradient,
                absl::Span<double> scalar_gradient) const override;
  double Temperature(absl::Span<const double> scalars) const;

 private:
  const size_t experts_;
  const Activation activation_;
  const std::optional<double> fixed_temperature_;
};

}  // namespace penstock::router
