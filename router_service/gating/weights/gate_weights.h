#pragma once

#include <cstddef>

#include "absl/types/span.h"

namespace penstock::router {

// A differentiable map from the linear heads of a gate to its experts' weights: what is trained.
// Thread-safe.
class GateWeights {
 public:
  virtual ~GateWeights() = default;

  virtual size_t experts() const = 0;
  // Linear maps of z that it reads.
  virtual size_t heads() const = 0;
  // Parameters that do not depend on z.
  virtual size_t scalars() const { return 0; }

  // heads [heads] and scalars [scalars] -> weights [experts], not negative, of sum 1.
  virtual void Forward(absl::Span<const double> heads, absl::Span<const double> scalars,
                       absl::Span<double> weights) const = 0;
  // Adds to head_gradient and scalar_gradient that of a loss whose gradient by the weights is
  // weight_gradient.
  virtual void Backward(absl::Span<const double> heads, absl::Span<const double> scalars,
                        absl::Span<const double> weight_gradient, absl::Span<double> head_gradient,
                        absl::Span<double> scalar_gradient) const = 0;
  // What training adds to the loss of each row so that the weights become sparse; adds its
  // gradient.
  virtual double Penalty(absl::Span<const double> heads, absl::Span<double> head_gradient) const {
    static_cast<void>(heads);
    static_cast<void>(head_gradient);
    return 0;
  }
};

}  // namespace penstock::router
