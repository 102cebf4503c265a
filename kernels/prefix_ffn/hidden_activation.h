#pragma once

// For SIMD files, after simd_exp.h: the activations of prefix_ffn.h.

#include <cstdint>

#include "kernels/prefix_ffn/prefix_ffn.h"

namespace penstock::kernels {
namespace {

template <PrefixActivation kActivation>
[[gnu::always_inline]] inline Simd::V ActivateHidden(Simd::V z) {
  const Simd::V one = Simd::Set(1.0f), zero = Simd::Zero();
  if constexpr (kActivation == PrefixActivation::kRelu) {
    return Simd::Max(zero, z);  // NaN stays
  } else if constexpr (kActivation == PrefixActivation::kSilu) {
    return Simd::Mul(z, Sigmoid(z));
  } else if constexpr (kActivation == PrefixActivation::kGeluTanh) {
    // z/2 (1 + tanh u) = z sigmoid(2 u).
    const Simd::V cubic = Simd::Fma(Simd::Mul(Simd::Set(0.044715f), z), Simd::Mul(z, z), z);
    constexpr float kTwiceRootTwoOverPi = 1.5957691216057308f;
    return Simd::Mul(z, Sigmoid(Simd::Mul(Simd::Set(kTwiceRootTwoOverPi), cubic)));
  } else {
    // erfc by Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26, error at most
    // 1.5e-7; gelu(z) = z (1 - erfc/2) for z >= 0 and z erfc/2 below: no cancellation in the tail.
    const Simd::V x = Simd::Mul(Simd::Abs(z), Simd::Set(0.70710678118654752f));
    const Simd::V t = Simd::Div(one, Simd::Fma(Simd::Set(0.3275911f), x, one));
    Simd::V p = Simd::Set(1.061405429f);
    p = Simd::Fma(p, t, Simd::Set(-1.453152027f));
    p = Simd::Fma(p, t, Simd::Set(1.421413741f));
    p = Simd::Fma(p, t, Simd::Set(-0.284496736f));
    p = Simd::Fma(p, t, Simd::Set(0.254829592f));
    const Simd::V e = Exp(Simd::Sub(zero, Simd::Mul(x, x)));
    const Simd::V half_erfc = Simd::Mul(Simd::Mul(Simd::Mul(p, t), e), Simd::Set(0.5f));
    return Simd::Mul(z, Simd::IfLess(z, zero, half_erfc, Simd::Sub(one, half_erfc)));
  }
}

template <PrefixActivation kActivation>
[[gnu::noinline]] void ActivateAll(float* h, int64_t count) {
  int64_t i = 0;
  for (; i + Simd::kLanes <= count; i += Simd::kLanes) {
    Simd::Store(h + i, ActivateHidden<kActivation>(Simd::Load(h + i)));
  }
  if (i < count) {
    const Simd::V z = Simd::LoadPart(h + i, count - i, Simd::Zero());
    Simd::StorePart(h + i, count - i, ActivateHidden<kActivation>(z));
  }
}

void ActivateHiddenRows(PrefixActivation activation, float* h, int64_t count) {
  switch (activation) {
    case PrefixActivation::kRelu:
      return ActivateAll<PrefixActivation::kRelu>(h, count);
    case PrefixActivation::kSilu:
      return ActivateAll<PrefixActivation::kSilu>(h, count);
    case PrefixActivation::kGeluTanh:
      return ActivateAll<PrefixActivation::kGeluTanh>(h, count);
    case PrefixActivation::kGeluErf:
      return ActivateAll<PrefixActivation::kGeluErf>(h, count);
  }
}

}  // namespace
}  // namespace penstock::kernels
