#pragma once

// For the references of the ops built on gated_mlp.

#include <cmath>

#include "kernels/gated_mlp/gated_mlp.h"

namespace penstock::kernels {

// What Activation says, in float64.
inline double ReferenceGated(Activation activation, double gate, double up) {
  switch (activation) {
    case Activation::kSwiGlu:
      return gate / (1 + std::exp(-gate)) * up;
    case Activation::kGeGluTanh:
      return gate / 2 *
             (1 + std::tanh(std::sqrt(2 / M_PI) * (gate + 0.044715 * gate * gate * gate))) * up;
    case Activation::kGeGluErf:
      return gate / 2 * std::erfc(-gate / std::sqrt(2.0)) * up;
    case Activation::kReGlu2:
      return gate < 0 ? 0 : gate * gate * up;
    case Activation::kClampedSwiGlu: {
      const double limit = static_cast<double>(kClampLimit);
      const double g = gate > limit ? limit : gate;
      const double u = up > limit ? limit : up < -limit ? -limit : up;
      return g / (1 + std::exp(-static_cast<double>(kClampAlpha) * g)) * (u + 1);
    }
  }
  return 0;
}

}  // namespace penstock::kernels
