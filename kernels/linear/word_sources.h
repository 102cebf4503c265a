#pragma once

// For SIMD files, after one of simd_avx2.h and simd_avx512.h: lines of packed weights as vectors of
// float32, a vector an input. A source says
//   kSteps         vectors in a line
//   kScaled        whether groups of inputs have scales
//   kPrepared      whether it multiplies by rows that were prepared, or by x as it is
//   Expand<i>(w)   the i-th vector of the words w
//   Product        this, without the lines
//   kRuns          whether a tile may be one of some runs over the inputs
//   Dot(x, b, c)   c + b * what stands at x, the input's 4 bytes

#include <cstdint>

#include "kernels/linear/weight_format.h"

namespace penstock::kernels {
namespace {

struct FloatDot {
  using Product = FloatDot;
  using B = Simd::V;
  static constexpr bool kRuns = false;
  static constexpr bool kPrepared = true;
  [[gnu::always_inline]] static Simd::V Dot(const float* x, B b, Simd::V c) {
    return Simd::Fma(Simd::Set(*x), b, c);
  }
};

struct F32Source : FloatDot {
  static constexpr int kSteps = 1;
  static constexpr bool kScaled = false;
  static constexpr bool kPrepared = false;
  template <int kStep>
  [[gnu::always_inline]] B Expand(Simd::W words) const {
    return Simd::AsFloats(words);
  }
};

struct Bf16Source : FloatDot {
  static constexpr int kSteps = 2;
  static constexpr bool kScaled = false;
  template <int kStep>
  [[gnu::always_inline]] B Expand(Simd::W words) const {
    if constexpr (kStep == 0) return Simd::AsFloats(Simd::ShiftLeft<16>(words));
    return Simd::AsFloats(Simd::And(words, Simd::SetWords(0xFFFF0000)));
  }
};

struct F16Source : FloatDot {
  static constexpr int kSteps = 2;
  static constexpr bool kScaled = false;
  template <int kStep>
  [[gnu::always_inline]] B Expand(Simd::W words) const {
    return Simd::FromF16(Simd::ShiftRight<16 * kStep>(words));
  }
};

// Where the code of input `step` of a line begins.
template <int kBits, int kStep>
constexpr int kCodeShift = kStep / 2 * kBits + kStep % 2 * 16;

struct Int8Source : FloatDot {
  static constexpr int kSteps = 4;
  static constexpr bool kScaled = true;
  template <int kStep>
  [[gnu::always_inline]] B Expand(Simd::W words) const {
    return Simd::ToFloats(
        Simd::ShiftRightSigned<24>(Simd::ShiftLeft<24 - kCodeShift<8, kStep>>(words)));
  }
};

// Four bits of exponent and three of mantissa, moved to where float32 has them, are the value times
// 2^-120, subnormal codes too.
struct Fp8Source : FloatDot {
  static constexpr int kSteps = 4;
  static constexpr bool kScaled = true;
  template <int kStep>
  [[gnu::always_inline]] B Expand(Simd::W words) const {
    const Simd::W top = Simd::ShiftLeft<24 - kCodeShift<8, kStep>>(words);
    const Simd::V magnitude = Simd::Mul(
        Simd::AsFloats(Simd::ShiftRight<4>(Simd::And(top, Simd::SetWords(0x7F000000)))),
        Simd::Set(0x1p120f));
    return Simd::AsFloats(
        Simd::Or(Simd::AsWords(magnitude), Simd::And(top, Simd::SetWords(0x80000000))));
  }
};

// What the codes of at most four bits stand for, repeated to 16 entries.
struct CodeTable {
  alignas(64) float values[16];
};
constexpr CodeTable kInt4Values = {{0, 1, 2, 3, 4, 5, 6, 7, -8, -7, -6, -5, -4, -3, -2, -1}};
constexpr CodeTable kPot4Values = {{1.0f, 0.5f, 0.25f, 0.125f, 0.0625f, 0.03125f, 0.015625f,
                                    0.0078125f, -1.0f, -0.5f, -0.25f, -0.125f, -0.0625f, -0.03125f,
                                    -0.015625f, -0.0078125f}};
constexpr CodeTable kTernaryValues = {{0, 1, -1, 0, 0, 1, -1, 0, 0, 1, -1, 0, 0, 1, -1, 0}};

template <int kBits, const CodeTable& kTable>
struct TableSource : FloatDot {
  static constexpr int kSteps = 32 / kBits;
  static constexpr bool kScaled = true;
  const Simd::Table table{kTable.values};
  template <int kStep>
  [[gnu::always_inline]] B Expand(Simd::W words) const {
    return table.At(Simd::ShiftRight<kCodeShift<kBits, kStep>>(words));
  }
};

}  // namespace
}  // namespace penstock::kernels
