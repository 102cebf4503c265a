#pragma once

#include <cmath>

#include "kernels/device/simt.h"
#include "kernels/gated_mlp/gated_mlp.h"

namespace penstock::kernels {

// What Activation says, by a CUDA thread.
PENSTOCK_SIMT float Gated(Activation activation, float gate, float up) {
  switch (activation) {
    case Activation::kSwiGlu:
      return gate / (1.0f + expf(-gate)) * up;
    case Activation::kGeGluTanh:  // z/2 (1 + tanh u) = z sigmoid(2 u)
      return gate / (1.0f + expf(-1.5957691216057308f * (gate + 0.044715f * gate * gate * gate))) *
             up;
    case Activation::kGeGluErf:
      return 0.5f * gate * erfcf(-gate * 0.70710678118654752f) * up;
    case Activation::kReGlu2:
      return gate < 0.0f ? 0.0f : gate * gate * up;
    case Activation::kClampedSwiGlu: {
      const float g = gate > kClampLimit ? kClampLimit : gate;
      const float u = up > kClampLimit ? kClampLimit : up < -kClampLimit ? -kClampLimit : up;
      return g / (1.0f + expf(-kClampAlpha * g)) * (u + 1.0f);
    }
  }
  return 0;
}

}  // namespace penstock::kernels
