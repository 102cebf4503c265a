#include "kernels/linear/weight_format.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

namespace penstock::kernels {
namespace {

struct NamedFormat {
  WeightFormat format;
  std::string_view name;
};

constexpr std::array<NamedFormat, 8> kNames = {{
    {WeightFormat::kF32, "f32"},
    {WeightFormat::kBf16, "bf16"},
    {WeightFormat::kF16, "f16"},
    {WeightFormat::kInt8, "int8"},
    {WeightFormat::kInt4, "int4"},
    {WeightFormat::kFp8E4m3, "fp8_e4m3"},
    {WeightFormat::kTernary, "ternary"},
    {WeightFormat::kPot4, "pot4"},
}};
constexpr std::array<WeightFormat, 8> kFormats = {
    WeightFormat::kF32,  WeightFormat::kBf16,    WeightFormat::kF16,     WeightFormat::kInt8,
    WeightFormat::kInt4, WeightFormat::kFp8E4m3, WeightFormat::kTernary, WeightFormat::kPot4};

constexpr uint32_t kFp8Nan = 0x7F;  // and with the sign

float Fp8Value(uint32_t code) {
  const uint32_t exponent = code >> 3 & 15, mantissa = code & 7;
  if ((code & kFp8Nan) == kFp8Nan) return std::numeric_limits<float>::quiet_NaN();
  const float magnitude =
      exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -9)
                    : std::ldexp(static_cast<float>(8 + mantissa), static_cast<int>(exponent) - 10);
  return code & 0x80 ? -magnitude : magnitude;
}

// Ties to the even mantissa, which is the even code.
uint32_t NearestFp8(float value) {
  const uint32_t sign = std::signbit(value) ? 0x80 : 0;
  const float magnitude = std::abs(value);
  uint32_t low = 0, high = kFp8Nan - 1;  // codes rise with the magnitude
  while (low < high) {
    const uint32_t middle = (low + high + 1) / 2;
    if (Fp8Value(middle) <= magnitude) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  if (low < kFp8Nan - 1) {
    const float below = magnitude - Fp8Value(low), above = Fp8Value(low + 1) - magnitude;
    if (above < below || (above == below && low % 2 == 1)) ++low;
  }
  return sign | low;
}

uint32_t NearestInteger(float value, int least, int most, uint32_t mask) {
  const float clamped =
      std::min(std::max(value, static_cast<float>(least)), static_cast<float>(most));
  return static_cast<uint32_t>(static_cast<int>(std::nearbyint(clamped))) & mask;
}

uint32_t NearestPot4(float value) {
  const uint32_t sign = std::signbit(value) ? 8 : 0;
  const float magnitude = std::abs(value);
  if (!(magnitude > 0)) return sign | 7;  // no zero: the smallest stands for it
  const float power = std::nearbyint(-std::log2(magnitude));
  return sign | static_cast<uint32_t>(std::min(std::max(power, 0.0f), 7.0f));
}

double SquaredError(WeightFormat format, std::span<const float> weights, float scale) {
  double error = 0;
  for (const float w : weights) {
    const double back = static_cast<double>(CodeValue(format, NearestCode(format, w / scale))) *
                        static_cast<double>(scale);
    error += (static_cast<double>(w) - back) * (static_cast<double>(w) - back);
  }
  return error;
}

// A scale so small that weight / scale overflows stands for weights that are 0.
constexpr float kLeastScale = 1e-30f;

float ScaleOf(WeightFormat format, std::span<const float> weights) {
  float most = 0;
  double sum = 0;
  for (const float w : weights) {
    most = std::max(most, std::abs(w));
    sum += static_cast<double>(std::abs(w));
  }
  if (!(most > kLeastScale)) return 1;
  switch (format) {
    case WeightFormat::kTernary:
      return std::max(static_cast<float>(sum / static_cast<double>(weights.size())), kLeastScale);
    case WeightFormat::kPot4:
      return most;
    case WeightFormat::kFp8E4m3:
      return std::max(most / 448, kLeastScale);
    case WeightFormat::kInt8:
      return std::max(most / 127, kLeastScale);
    default:
      break;
  }
  // int4: clipping the largest weights can pay. From most / 7.5, where they still round to 7, down.
  float best = 0;
  double least = std::numeric_limits<double>::infinity();
  for (int step = 0; step < 12; ++step) {
    const float scale = std::max(most / 7.5f * (1 - 0.04f * static_cast<float>(step)), kLeastScale);
    const double error = SquaredError(format, weights, scale);
    if (error < least) {
      least = error;
      best = scale;
    }
  }
  return best;
}

}  // namespace

std::span<const WeightFormat> WeightFormats() { return kFormats; }

std::string_view FormatName(WeightFormat format) {
  for (const NamedFormat& named : kNames) {
    if (named.format == format) return named.name;
  }
  return "";
}

std::optional<WeightFormat> ParseFormat(std::string_view name) {
  for (const NamedFormat& named : kNames) {
    if (named.name == name) return named.format;
  }
  return std::nullopt;
}

float CodeValue(WeightFormat format, uint32_t code) {
  switch (format) {
    case WeightFormat::kF32:
      return std::bit_cast<float>(code);
    case WeightFormat::kBf16:
      return FromBf16(static_cast<uint16_t>(code));
    case WeightFormat::kF16:
      return FromF16(static_cast<uint16_t>(code));
    case WeightFormat::kInt8:
      return static_cast<float>(static_cast<int8_t>(code));
    case WeightFormat::kInt4:
      return static_cast<float>(static_cast<int>(code & 15) - (code & 8 ? 16 : 0));
    case WeightFormat::kFp8E4m3:
      return Fp8Value(code & 0xFF);
    case WeightFormat::kTernary:
      return (code & 3) == 1 ? 1.0f : (code & 3) == 2 ? -1.0f : 0.0f;
    case WeightFormat::kPot4: {
      const float magnitude = std::ldexp(1.0f, -static_cast<int>(code & 7));
      return code & 8 ? -magnitude : magnitude;
    }
  }
  return 0;
}

uint32_t NearestCode(WeightFormat format, float value) {
  if (std::isnan(value) && IsScaled(format)) value = 0;
  switch (format) {
    case WeightFormat::kF32:
      return std::bit_cast<uint32_t>(value);
    case WeightFormat::kBf16:
      return ToBf16(value);
    case WeightFormat::kF16:
      return ToF16(value);
    case WeightFormat::kInt8:
      return NearestInteger(value, -127, 127, 0xFF);
    case WeightFormat::kInt4:
      return NearestInteger(value, -8, 7, 0xF);
    case WeightFormat::kFp8E4m3:
      return NearestFp8(value);
    case WeightFormat::kTernary: {
      const uint32_t code = NearestInteger(value, -1, 1, 3);
      return code == 3 ? 2 : code;
    }
    case WeightFormat::kPot4:
      return NearestPot4(value);
  }
  return 0;
}

Status CheckGroup(WeightFormat format, int64_t in, int64_t group) {
  if (group == 0) return {};
  if (!IsScaled(format)) {
    return {Code::kInvalidArgument, "group: the format has no scales, so no groups"};
  }
  if (group != 32 && group != 64 && group != 128) {
    return {Code::kInvalidArgument, "group must be 0 (all inputs), 32, 64 or 128"};
  }
  if (in % group != 0) return {Code::kInvalidArgument, "group must divide the inputs"};
  return {};
}

Status CheckCoded(const CodedMatrix& matrix) {
  if (!IsScaled(matrix.format)) return {Code::kInvalidArgument, "format: not one of codes"};
  if (matrix.in < 0 || matrix.out < 0) return {Code::kInvalidArgument, "negative size"};
  if (const Status status = CheckGroup(matrix.format, matrix.in, matrix.group); !status.ok()) {
    return status;
  }
  if (static_cast<int64_t>(matrix.codes.size()) != matrix.in * matrix.out) {
    return {Code::kInvalidArgument, "codes must be [out, in]"};
  }
  if (static_cast<int64_t>(matrix.scales.size()) != matrix.groups() * matrix.out) {
    return {Code::kInvalidArgument, "scales must be [out, groups]"};
  }
  for (const float scale : matrix.scales) {
    if (!std::isfinite(scale) || !(scale > 0)) {
      return {Code::kInvalidArgument, "scales must be finite and above 0"};
    }
  }
  for (const uint8_t code : matrix.codes) {
    const bool known = code >> FormatBits(matrix.format) == 0 &&
                       !(matrix.format == WeightFormat::kFp8E4m3 && (code & kFp8Nan) == kFp8Nan) &&
                       !(matrix.format == WeightFormat::kTernary && code == 3);
    if (!known) return {Code::kInvalidArgument, "codes: one stands for nothing in this format"};
  }
  return {};
}

CodedMatrix Quantize(const float* weight, int64_t in, int64_t out, WeightFormat format,
                     int64_t group) {
  CodedMatrix matrix = {format, in, out, group, {}, {}};
  matrix.codes.resize(static_cast<size_t>(in * out));
  const int64_t step = group == 0 ? in : group;
  for (int64_t n = 0; n < out; ++n) {
    for (int64_t k = 0; k < in; k += step) {
      const std::span<const float> weights(weight + n * in + k, static_cast<size_t>(step));
      const float scale = ScaleOf(format, weights);
      matrix.scales.push_back(scale);
      for (int64_t i = 0; i < step; ++i) {
        matrix.codes[static_cast<size_t>(n * in + k + i)] =
            static_cast<uint8_t>(NearestCode(format, weights[static_cast<size_t>(i)] / scale));
      }
    }
  }
  return matrix;
}

void Dequantize(const CodedMatrix& matrix, float* weight) {
  const int64_t step = matrix.group == 0 ? matrix.in : matrix.group;
  for (int64_t n = 0; n < matrix.out; ++n) {
    for (int64_t k = 0; k < matrix.in; ++k) {
      const float scale = matrix.scales[static_cast<size_t>(n * matrix.groups() + k / step)];
      weight[n * matrix.in + k] =
          CodeValue(matrix.format, matrix.codes[static_cast<size_t>(n * matrix.in + k)]) * scale;
    }
  }
}

uint16_t ToBf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

float FromBf16(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

uint16_t ToF16(float value) {
  const uint32_t sign = std::signbit(value) ? 0x8000 : 0;
  if (std::isnan(value)) return static_cast<uint16_t>(sign | 0x7E00);
  const float magnitude = std::abs(value);
  if (magnitude >= 65520) return static_cast<uint16_t>(sign | 0x7C00);  // rounds to infinity
  // nearbyint rounds ties to even; below 2^-14 halves have no exponent of their own.
  int exponent = -13;
  if (magnitude > 0) std::frexp(magnitude, &exponent);
  const int least = std::max(exponent, -13);  // magnitude in [2^(exponent-1), 2^exponent)
  const auto units = static_cast<uint32_t>(std::nearbyint(std::ldexp(magnitude, 11 - least)));
  // units in [1024, 2048] for normal halves: a carry moves on to the next exponent by itself.
  return static_cast<uint16_t>(sign | ((static_cast<uint32_t>(least + 13) << 10) + units));
}

float FromF16(uint16_t bits) {
  const int exponent = bits >> 10 & 31;
  const auto mantissa = static_cast<float>(bits & 1023);
  float magnitude = 0;
  if (exponent == 31) {
    magnitude = mantissa != 0 ? std::numeric_limits<float>::quiet_NaN()
                              : std::numeric_limits<float>::infinity();
  } else {
    magnitude = exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
  }
  return bits & 0x8000 ? -magnitude : magnitude;
}

}  // namespace penstock::kernels
