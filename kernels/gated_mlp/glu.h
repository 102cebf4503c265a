#pragma once

// For SIMD files, after simd_exp.h: the activations of gated_mlp.h.

#include <cstdint>

#include "kernels/device/simd_activation.h"
#include "kernels/gated_mlp/gated_mlp.h"

namespace penstock::kernels {
namespace {

// Square of what is above 0; NaN stays.
[[gnu::always_inline]] inline Simd::V Relu2(Simd::V z) {
  const Simd::V positive = Simd::IfLess(z, Simd::Zero(), Simd::Zero(), z);
  return Simd::Mul(positive, positive);
}

// Max and Min give their second operand where one is NaN: the value goes second.
[[gnu::always_inline]] inline Simd::V ClampedSwiGlu(Simd::V gate, Simd::V up) {
  const Simd::V limit = Simd::Set(kClampLimit);
  const Simd::V g = Simd::Min(limit, gate);
  const Simd::V u = Simd::Max(Simd::Sub(Simd::Zero(), limit), Simd::Min(limit, up));
  const Simd::V swish = Simd::Mul(g, Sigmoid(Simd::Mul(Simd::Set(kClampAlpha), g)));
  return Simd::Mul(swish, Simd::Add(u, Simd::Set(1.0f)));
}

template <Activation kActivation>
[[gnu::always_inline]] inline Simd::V Gated(Simd::V gate, Simd::V up) {
  if constexpr (kActivation == Activation::kSwiGlu) return Simd::Mul(Silu(gate), up);
  if constexpr (kActivation == Activation::kGeGluTanh) return Simd::Mul(GeluTanh(gate), up);
  if constexpr (kActivation == Activation::kGeGluErf) return Simd::Mul(GeluErf(gate), up);
  if constexpr (kActivation == Activation::kReGlu2) return Simd::Mul(Relu2(gate), up);
  return ClampedSwiGlu(gate, up);
}

// h[row] = act(gate, up), in place of gate. Rows [gate: f, up: f].
template <Activation kActivation>
[[gnu::noinline]] void GluRows(float* gate_up, int64_t rows, int64_t f) {
  constexpr int kLanes = Simd::kLanes;
  for (int64_t row = 0; row < rows; ++row) {
    float* gate = gate_up + row * 2 * f;
    const float* up = gate + f;
    int64_t i = 0;
    for (; i + kLanes <= f; i += kLanes) {
      Simd::Store(gate + i,
                  Gated<kActivation>(Simd::Load(gate + i), Simd::Load(up + i)));
    }
    if (i < f) {
      const Simd::V z = Simd::LoadPart(gate + i, f - i, Simd::Zero());
      const Simd::V u = Simd::LoadPart(up + i, f - i, Simd::Zero());
      Simd::StorePart(gate + i, f - i, Gated<kActivation>(z, u));
    }
  }
}

void Glu(Activation activation, float* gate_up, int64_t rows, int64_t f) {
  switch (activation) {
    case Activation::kSwiGlu:
      return GluRows<Activation::kSwiGlu>(gate_up, rows, f);
    case Activation::kGeGluTanh:
      return GluRows<Activation::kGeGluTanh>(gate_up, rows, f);
    case Activation::kGeGluErf:
      return GluRows<Activation::kGeGluErf>(gate_up, rows, f);
    case Activation::kReGlu2:
      return GluRows<Activation::kReGlu2>(gate_up, rows, f);
    case Activation::kClampedSwiGlu:
      return GluRows<Activation::kClampedSwiGlu>(gate_up, rows, f);
  }
}

}  // namespace
}  // namespace penstock::kernels
