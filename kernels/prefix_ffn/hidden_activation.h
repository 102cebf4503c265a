#pragma once

// For SIMD files, after simd_exp.h: the activations of prefix_ffn.h.

#include <cstdint>

#include "kernels/device/simd_activation.h"
#include "kernels/prefix_ffn/prefix_ffn.h"

namespace penstock::kernels {
namespace {

template <PrefixActivation kActivation>
[[gnu::always_inline]] inline Simd::V ActivateHidden(Simd::V z) {
  if constexpr (kActivation == PrefixActivation::kRelu) return Simd::Max(Simd::Zero(), z);
  if constexpr (kActivation == PrefixActivation::kSilu) return Silu(z);
  if constexpr (kActivation == PrefixActivation::kGeluTanh) return GeluTanh(z);
  return GeluErf(z);
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
