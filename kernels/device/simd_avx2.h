#pragma once

// The vector operations of the SIMD files, on 8 floats. Everything is in an anonymous namespace:
// functions compiled with AVX2 flags must not reach the linker under a shared name.

#include <immintrin.h>

#include <cstdint>

namespace penstock::kernels {
namespace {

// Entry `bits`: the places of its set bits, rising, a byte each.
struct CompressTable {
  alignas(8) uint8_t places[256][8] = {};
  constexpr CompressTable() {
    for (unsigned bits = 0; bits < 256; ++bits) {
      int count = 0;
      for (uint8_t i = 0; i < 8; ++i) {
        if ((bits >> i & 1u) != 0) places[bits][count++] = i;
      }
    }
  }
};
constexpr CompressTable kCompressTable;

struct Simd {
  using V = __m256;
  static constexpr int kLanes = 8;

  [[gnu::always_inline]] static V Zero() { return _mm256_setzero_ps(); }
  [[gnu::always_inline]] static V Set(float x) { return _mm256_set1_ps(x); }
  [[gnu::always_inline]] static V Load(const float* p) { return _mm256_loadu_ps(p); }
  [[gnu::always_inline]] static void Store(float* p, V v) { _mm256_storeu_ps(p, v); }
  [[gnu::always_inline]] static V Add(V a, V b) { return _mm256_add_ps(a, b); }
  [[gnu::always_inline]] static V Sub(V a, V b) { return _mm256_sub_ps(a, b); }
  [[gnu::always_inline]] static V Mul(V a, V b) { return _mm256_mul_ps(a, b); }
  [[gnu::always_inline]] static V Div(V a, V b) { return _mm256_div_ps(a, b); }
  // a * b + c, rounded once.
  [[gnu::always_inline]] static V Fma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
  // Max and Min return b where either is NaN.
  [[gnu::always_inline]] static V Max(V a, V b) { return _mm256_max_ps(a, b); }
  [[gnu::always_inline]] static V Min(V a, V b) { return _mm256_min_ps(a, b); }
  [[gnu::always_inline]] static V Sqrt(V a) { return _mm256_sqrt_ps(a); }
  [[gnu::always_inline]] static V Abs(V a) { return _mm256_andnot_ps(Set(-0.0f), a); }

  [[gnu::always_inline]] static __m256i Mask(int64_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  // The first n < 8 lanes; the others are `fill`.
  [[gnu::always_inline]] static V LoadPart(const float* p, int64_t n, V fill) {
    const __m256i mask = Mask(n);
    return _mm256_blendv_ps(fill, _mm256_maskload_ps(p, mask), _mm256_castsi256_ps(mask));
  }
  [[gnu::always_inline]] static void StorePart(float* p, int64_t n, V v) {
    _mm256_maskstore_ps(p, Mask(n), v);
  }

  // then where a < b, else otherwise (also for NaN).
  [[gnu::always_inline]] static V IfLess(V a, V b, V then, V otherwise) {
    return _mm256_blendv_ps(otherwise, then, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
  }
  // count + 1 where a < b.
  [[gnu::always_inline]] static V CountIfLess(V count, V a, V b) {
    return Add(count, _mm256_and_ps(_mm256_cmp_ps(a, b, _CMP_LT_OQ), Set(1.0f)));
  }
  // v, with NaN replaced.
  [[gnu::always_inline]] static V IfNan(V v, V replacement) {
    return _mm256_blendv_ps(v, replacement, _mm256_cmp_ps(v, v, _CMP_UNORD_Q));
  }
  // Bit i: a[i] == b[i].
  [[gnu::always_inline]] static uint32_t EqualBits(V a, V b) {
    return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_EQ_OQ)));
  }

  // The lanes whose bits are set, moved to the front; anything behind them.
  [[gnu::always_inline]] static V Compress(V v, uint32_t bits) {
    const __m128i bytes =
        _mm_loadl_epi64(reinterpret_cast<const __m128i*>(kCompressTable.places[bits]));
    return _mm256_permutevar8x32_ps(v, _mm256_cvtepu8_epi32(bytes));
  }

  [[gnu::always_inline]] static V Round(V a) {
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  // a * 2^n for integral n in [-151, 129]: in two steps, since 2^n itself may not be a normal
  // float.
  [[gnu::always_inline]] static V ScaleByPowerOfTwo(V a, V n) {
    const __m256i whole = _mm256_cvtps_epi32(n);
    const __m256i half = _mm256_srai_epi32(whole, 1);
    const __m256i bias = _mm256_set1_epi32(127);
    const __m256i rest = _mm256_sub_epi32(whole, half);
    a = Mul(a, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23)));
    return Mul(a, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23)));
  }
  // a * 2^n for integral n in [-126, 127].
  [[gnu::always_inline]] static V ScaleByNormalPowerOfTwo(V a, V n) {
    const __m256i biased = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return Mul(a, _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23)));
  }

  // Words: as many 32-bit integers as floats.
  using W = __m256i;
  [[gnu::always_inline]] static W LoadWords(const void* p) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(p));
  }
  [[gnu::always_inline]] static W SetWords(uint32_t x) {
    return _mm256_set1_epi32(static_cast<int>(x));
  }
  [[gnu::always_inline]] static W And(W a, W b) { return _mm256_and_si256(a, b); }
  [[gnu::always_inline]] static W Or(W a, W b) { return _mm256_or_si256(a, b); }
  template <int kBits>
  [[gnu::always_inline]] static W ShiftLeft(W a) {
    return _mm256_slli_epi32(a, kBits);
  }
  template <int kBits>
  [[gnu::always_inline]] static W ShiftRight(W a) {
    return _mm256_srli_epi32(a, kBits);
  }
  template <int kBits>
  [[gnu::always_inline]] static W ShiftRightSigned(W a) {
    return _mm256_srai_epi32(a, kBits);
  }
  [[gnu::always_inline]] static V AsFloats(W a) { return _mm256_castsi256_ps(a); }
  [[gnu::always_inline]] static W AsWords(V a) { return _mm256_castps_si256(a); }
  [[gnu::always_inline]] static V ToFloats(W a) { return _mm256_cvtepi32_ps(a); }
  // The halves in the low 16 bits of the words.
  [[gnu::always_inline]] static V FromF16(W a) {
    const W low = And(a, SetWords(0xFFFF));
    return _mm256_cvtph_ps(
        _mm_packus_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1)));
  }
  // 16 floats, looked up by the low 4 bits of the words.
  struct Table {
    V low, high;
    [[gnu::always_inline]] explicit Table(const float* sixteen)
        : low(Load(sixteen)), high(Load(sixteen + 8)) {}
    [[gnu::always_inline]] V At(W index) const {
      return _mm256_blendv_ps(_mm256_permutevar8x32_ps(low, index),
                              _mm256_permutevar8x32_ps(high, index),
                              AsFloats(ShiftLeft<28>(index)));
    }
  };

  // Halves, then quarters, ...: one order for every vector width.
  [[gnu::always_inline]] static float ReduceAdd(V v) {
    const __m128 s4 = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
    return _mm_cvtss_f32(_mm_add_ss(s2, _mm_movehdup_ps(s2)));
  }
  [[gnu::always_inline]] static float ReduceMax(V v) {
    const __m128 s4 = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 s2 = _mm_max_ps(s4, _mm_movehl_ps(s4, s4));
    return _mm_cvtss_f32(_mm_max_ss(s2, _mm_movehdup_ps(s2)));
  }
};

}  // namespace
}  // namespace penstock::kernels
