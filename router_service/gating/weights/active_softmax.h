#pragma once

#include <cstddef>
#include <vector>

#include "absl/types/span.h"
#include "router_service/gating/weights/gate_weights.h"

namespace penstock::router {

// The dense-to-sparse gate of EvoMoE, Nie et al. 2021, arXiv:2112.14397: y = softmax(logits /
// temperature); the experts with y above their threshold are active and share the weight by y, the
// others have none. Where nobody is above, the largest y is active. Logits of -infinity are out of
// the question; at least one is finite. Returns the number of active experts. temperature > 0.
size_t ActiveSoftmax(absl::Span<const double> logits, double temperature,
                     absl::Span<const double> thresholds, absl::Span<double> weights);

// theta times each expert's cost over the smallest: a dear expert must be more probable to be
// asked. Costs are above 0.
std::vector<double> CostAwareThresholds(double theta, absl::Span<const double> cost);

// How the temperature falls over `steps` steps (> 0), from `start` to `end`, both met exactly; it
// stays there. Exponential: start (end / start)^(t / steps).
struct TemperatureSchedule {
  enum class Shape { kExponential, kLinear };
  Shape shape = Shape::kExponential;
  double start = 1;
  double end = 0.5;
  double steps = 1;

  double At(double t) const;
};

// ActiveSoftmax to be trained. Heads: logits [experts].
class ActiveSoftmaxWeights final : public GateWeights {
 public:
  ActiveSoftmaxWeights(size_t experts, double temperature, double theta)
      : temperature_(temperature), thresholds_(experts, theta) {}

  size_t experts() const override { return thresholds_.size(); }
  size_t heads() const override { return thresholds_.size(); }
  void Forward(absl::Span<const double> heads, absl::Span<const double> scalars,
               absl::Span<double> weights) const override;
  void Backward(absl::Span<const double> heads, absl::Span<const double> scalars,
                absl::Span<const double> weight_gradient, absl::Span<double> head_gradient,
                absl::Span<double> scalar_gradient) const override;

 private:
  const double temperature_;
  const std::vector<double> thresholds_;
};

}  // namespace penstock::router
