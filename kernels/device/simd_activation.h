#pragma once

// For SIMD files, after simd_exp.h: smooth activations. NaN stays.

namespace penstock::kernels {
namespace {

[[gnu::always_inline]] inline Simd::V Silu(Simd::V z) { return Simd::Mul(z, Sigmoid(z)); }

// z/2 (1 + tanh u) = z sigmoid(2 u).
[[gnu::always_inline]] inline Simd::V GeluTanh(Simd::V z) {
  const Simd::V cubic = Simd::Fma(Simd::Mul(Simd::Set(0.044715f), z), Simd::Mul(z, z), z);
  constexpr float kTwiceRootTwoOverPi = 1.5957691216057308f;
  return Simd::Mul(z, Sigmoid(Simd::Mul(Simd::Set(kTwiceRootTwoOverPi), cubic)));
}

// erfc(x) = t (a1 + t (a2 + ...)) exp(-x^2), t = 1 / (1 + p x), x >= 0: Abramowitz and Stegun,
// Handbook of Mathematical Functions, 7.1.26, error at most 1.5e-7. gelu(z) = z (1 - erfc/2) for
// z >= 0 and z erfc/2 below: no cancellation in the tail.
[[gnu::always_inline]] inline Simd::V GeluErf(Simd::V z) {
  const Simd::V one = Simd::Set(1.0f);
  const Simd::V x = Simd::Mul(Simd::Abs(z), Simd::Set(0.70710678118654752f));
  const Simd::V t = Simd::Div(one, Simd::Fma(Simd::Set(0.3275911f), x, one));
  Simd::V p = Simd::Set(1.061405429f);
  p = Simd::Fma(p, t, Simd::Set(-1.453152027f));
  p = Simd::Fma(p, t, Simd::Set(1.421413741f));
  p = Simd::Fma(p, t, Simd::Set(-0.284496736f));
  p = Simd::Fma(p, t, Simd::Set(0.254829592f));
  const Simd::V e = Exp(Simd::Sub(Simd::Zero(), Simd::Mul(x, x)));
  const Simd::V half_erfc = Simd::Mul(Simd::Mul(Simd::Mul(p, t), e), Simd::Set(0.5f));
  const Simd::V phi = Simd::IfLess(z, Simd::Zero(), half_erfc, Simd::Sub(one, half_erfc));
  return Simd::Mul(z, phi);
}

}  // namespace
}  // namespace penstock::kernels
