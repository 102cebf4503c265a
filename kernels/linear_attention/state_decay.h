#pragma once

// For SIMD files, after simd_exp.h.

#include "kernels/linear_attention/recurrent_state.h"

namespace penstock::kernels {
namespace {

// exp(g), 0 where g <= kForgetGate; NaN stays.
[[gnu::always_inline]] inline Simd::V Decay(Simd::V g) {
  // The float after kForgetGate: g < it exactly where g <= kForgetGate; NaN takes the other arm.
  constexpr float kForgetBelow = -59.999996f;
  return Simd::IfLess(g, Simd::Set(kForgetBelow), Simd::Zero(), Exp(g));
}

}  // namespace
}  // namespace penstock::kernels
