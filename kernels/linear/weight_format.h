#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "kernels/device/status.h"

namespace penstock::kernels {

// How a matrix of weights is stored. Scaled formats hold codes and, per group of inputs of an
// output, a float32 scale: weight = CodeValue(code) * scale. Every code's value is exact in
// bfloat16.
enum class WeightFormat : uint8_t {
  kF32,
  kBf16,
  kF16,
  kInt8,     // -127 .. 127
  kInt4,     // -8 .. 7
  kFp8E4m3,  // OCP 8-bit floating point, 1.0: four bits of exponent, no infinity, at most 448
  kTernary,  // -1, 0, 1: BitNet b1.58 (arXiv:2402.17764), scale = mean |weight|
  kPot4,     // +-2^0 .. 2^-7 and no zero: DenseShift (arXiv:2208.09708)
};

std::span<const WeightFormat> WeightFormats();
std::string_view FormatName(WeightFormat format);
std::optional<WeightFormat> ParseFormat(std::string_view name);

// always_inline: SIMD files call these, and a copy compiled with their flags must not reach the
// linker.
[[gnu::always_inline]] constexpr int FormatBits(WeightFormat format) {
  switch (format) {
    case WeightFormat::kF32:
      return 32;
    case WeightFormat::kBf16:
    case WeightFormat::kF16:
      return 16;
    case WeightFormat::kInt8:
    case WeightFormat::kFp8E4m3:
      return 8;
    case WeightFormat::kInt4:
    case WeightFormat::kPot4:
      return 4;
    case WeightFormat::kTernary:
      return 2;
  }
  return 0;
}
[[gnu::always_inline]] constexpr bool IsScaled(WeightFormat format) {
  return FormatBits(format) <= 8;
}
// Inputs whose codes share 32 bits.
[[gnu::always_inline]] constexpr int64_t CodesPerWord(WeightFormat format) {
  return 32 / FormatBits(format);
}

// What a code stands for, before its scale. Codes are the low FormatBits() bits.
float CodeValue(WeightFormat format, uint32_t code);
// The code whose value is nearest (kPot4: nearest in the logarithm); NaN has none and gives 0's.
uint32_t NearestCode(WeightFormat format, float value);

// A matrix in a scaled format, as files hold it.
struct CodedMatrix {
  WeightFormat format = WeightFormat::kInt8;
  int64_t in = 0;
  int64_t out = 0;
  int64_t group = 0;           // inputs a scale; 0: all of an output's
  std::vector<uint8_t> codes;  // [out, in], one a byte
  std::vector<float> scales;   // [out, groups]

  int64_t groups() const { return group == 0 ? (in > 0 ? 1 : 0) : in / group; }
};

// kInvalidArgument where a group is not 0, 32, 64 or 128, does not divide `in`, or goes with a
// format that has no scales.
Status CheckGroup(WeightFormat format, int64_t in, int64_t group);
// CheckGroup, and sizes, codes that are nobody's, scales that are not finite.
Status CheckCoded(const CodedMatrix& matrix);

// weight [out, in], finite. The scale of a group is the one of a small grid whose squared error is
// least (kTernary: mean |weight|; kPot4: max |weight|). CheckGroup must hold.
CodedMatrix Quantize(const float* weight, int64_t in, int64_t out, WeightFormat format,
                     int64_t group);
// weight [out, in].
void Dequantize(const CodedMatrix& matrix, float* weight);

// Round to nearest, ties to even; NaN stays NaN.
uint16_t ToBf16(float value);
uint16_t ToF16(float value);
float FromBf16(uint16_t bits);
float FromF16(uint16_t bits);

}  // namespace penstock::kernels
