#pragma once

// The vector operations of the SIMD files, on 16 floats. Everything is in an anonymous namespace:
// functions compiled with AVX-512 flags must not reach the linker under a shared name.

#include <immintrin.h>

#include <cstdint>

namespace penstock::kernels {
namespace {

struct Simd {
  using V = __m512;
  static constexpr int kLanes = 16;

  [[gnu::always_inline]] static V Zero() { return _mm512_setzero_ps(); }
  [[gnu::always_inline]] static V Set(float x) { return _mm512_set1_ps(x); }
  [[gnu::always_inline]] static V Load(const float* p) { return _mm512_loadu_ps(p); }
  [[gnu::always_inline]] static void Store(float* p, V v) { _mm512_storeu_ps(p, v); }
  [[gnu::always_inline]] static V Add(V a, V b) { return _mm512_add_ps(a, b); }
  [[gnu::always_inline]] static V Sub(V a, V b) { return _mm512_sub_ps(a, b); }
  [[gnu::always_inline]] static V Mul(V a, V b) { return _mm512_mul_ps(a, b); }
  [[gnu::always_inline]] static V Div(V a, V b) { return _mm512_div_ps(a, b); }
  // a * b + c, rounded once.
  [[gnu::always_inline]] static V Fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
  // Max and Min return b where either is NaN.
  [[gnu::always_inline]] static V Max(V a, V b) { return _mm512_max_ps(a, b); }
  [[gnu::always_inline]] static V Min(V a, V b) { return _mm512_min_ps(a, b); }
  [[gnu::always_inline]] static V Sqrt(V a) { return _mm512_sqrt_ps(a); }
  [[gnu::always_inline]] static V Abs(V a) { return _mm512_abs_ps(a); }

  [[gnu::always_inline]] static __mmask16 Mask(int64_t n) {
    return static_cast<__mmask16>((1u << n) - 1);
  }
  // The first n < 16 lanes; the others are `fill`.
  [[gnu::always_inline]] static V LoadPart(const float* p, int64_t n, V fill) {
    return _mm512_mask_loadu_ps(fill, Mask(n), p);
  }
  [[gnu::always_inline]] static void StorePart(float* p, int64_t n, V v) {
    _mm512_mask_storeu_ps(p, Mask(n), v);
  }

  // then where a < b, else otherwise (also for NaN).
  [[gnu::always_inline]] static V IfLess(V a, V b, V then, V otherwise) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), otherwise, then);
  }
  // count + 1 where a < b.
  [[gnu::always_inline]] static V CountIfLess(V count, V a, V b) {
    return _mm512_mask_add_ps(count, _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), count, Set(1.0f));
  }
  // v, with NaN replaced.
  [[gnu::always_inline]] static V IfNan(V v, V replacement) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q), v, replacement);
  }
  // Bit i: a[i] == b[i].
  [[gnu::always_inline]] static uint32_t EqualBits(V a, V b) {
    uint32_t bits = _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ);
    // Through a general register: g++ 12 spills the 16 bits of a mask and reads 32 back.
    asm("" : "+r"(bits));
    return bits;
  }

  // The lanes whose bits are set, moved to the front; anything behind them.
  [[gnu::always_inline]] static V Compress(V v, uint32_t bits) {
    return _mm512_maskz_compress_ps(static_cast<__mmask16>(bits), v);
  }

  [[gnu::always_inline]] static V Round(V a) {
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  // a * 2^n for integral n, rounded once: 2^n itself may not be a normal float.
  [[gnu::always_inline]] static V ScaleByPowerOfTwo(V a, V n) { return _mm512_scalef_ps(a, n); }
  // For n in [-126, 127] only, where narrower registers have a shorter way.
  [[gnu::always_inline]] static V ScaleByNormalPowerOfTwo(V a, V n) {
    return _mm512_scalef_ps(a, n);
  }

  // Words: as many 32-bit integers as floats.
  using W = __m512i;
  [[gnu::always_inline]] static W LoadWords(const void* p) { return _mm512_loadu_si512(p); }
  [[gnu::always_inline]] static W SetWords(uint32_t x) {
    return _mm512_set1_epi32(static_cast<int>(x));
  }
  [[gnu::always_inline]] static W And(W a, W b) { return _mm512_and_si512(a, b); }
  [[gnu::always_inline]] static W Or(W a, W b) { return _mm512_or_si512(a, b); }
  template <int kBits>
  [[gnu::always_inline]] static W ShiftLeft(W a) {
    return _mm512_slli_epi32(a, kBits);
  }
  template <int kBits>
  [[gnu::always_inline]] static W ShiftRight(W a) {
    return _mm512_srli_epi32(a, kBits);
  }
  template <int kBits>
  [[gnu::always_inline]] static W ShiftRightSigned(W a) {
    return _mm512_srai_epi32(a, kBits);
  }
  [[gnu::always_inline]] static V AsFloats(W a) { return _mm512_castsi512_ps(a); }
  [[gnu::always_inline]] static W AsWords(V a) { return _mm512_castps_si512(a); }
  [[gnu::always_inline]] static V ToFloats(W a) { return _mm512_cvtepi32_ps(a); }
  // The halves in the low 16 bits of the words.
  [[gnu::always_inline]] static V FromF16(W a) { return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(a)); }
  // 16 floats, looked up by the low 4 bits of the words.
  struct Table {
    V entries;
    [[gnu::always_inline]] explicit Table(const float* sixteen) : entries(Load(sixteen)) {}
    [[gnu::always_inline]] V At(W index) const { return _mm512_permutexvar_ps(index, entries); }
  };

  [[gnu::always_inline]] static __m256 Low(V v) { return _mm512_castps512_ps256(v); }
  [[gnu::always_inline]] static __m256 High(V v) { return _mm512_extractf32x8_ps(v, 1); }
  // Halves, then quarters, ...: one order for every vector width.
  [[gnu::always_inline]] static float ReduceAdd(V v) {
    const __m256 s8 = _mm256_add_ps(Low(v), High(v));
    const __m128 s4 = _mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
    const __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
    return _mm_cvtss_f32(_mm_add_ss(s2, _mm_movehdup_ps(s2)));
  }
  [[gnu::always_inline]] static float ReduceMax(V v) {
    const __m256 s8 = _mm256_max_ps(Low(v), High(v));
    const __m128 s4 = _mm_max_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
    const __m128 s2 = _mm_max_ps(s4, _mm_movehl_ps(s4, s4));
    return _mm_cvtss_f32(_mm_max_ss(s2, _mm_movehdup_ps(s2)));
  }
};

}  // namespace
}  // namespace penstock::kernels
