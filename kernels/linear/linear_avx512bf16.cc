#include "kernels/device/simd_avx512.h"
#include "kernels/linear/linear.h"
#include "kernels/linear/linear_runs.h"
#include "kernels/linear/word_sources.h"

namespace penstock::kernels {
namespace {

// Pairs of inputs as bfloat16: one instruction multiplies two and adds both to a float32.
struct PairDot {
  using Product = PairDot;
  static constexpr bool kRuns = false;
  using B = __m512i;
  static constexpr bool kPrepared = true;
  [[gnu::always_inline]] static Simd::V Dot(const float* x, B b, Simd::V c) {
    int32_t pair = 0;
    __builtin_memcpy(&pair, x, sizeof(pair));
    return _mm512_dpbf16_ps(c, (__m512bh)b, (__m512bh)_mm512_set1_epi32(pair));
  }
};

// The upper halves of two vectors whose values are exact in bfloat16.
[[gnu::always_inline]] inline __m512i UpperHalves(Simd::V even, Simd::V odd) {
  return _mm512_mask_blend_epi16(0xAAAAAAAA, Simd::ShiftRight<16>(Simd::AsWords(even)),
                                 Simd::AsWords(odd));
}

struct Bf16Pairs : PairDot {
  static constexpr int kSteps = 1;
  static constexpr bool kScaled = false;
  template <int kStep>
  [[gnu::always_inline]] B Expand(Simd::W words) const {
    return words;
  }
};

// Source: one of words of float32 whose values are exact in bfloat16.
template <class Source>
struct WidePairs : PairDot {
  static constexpr int kSteps = Source::kSteps / 2;
  static constexpr bool kScaled = Source::kScaled;
  const Source source{};
  template <int kStep>
  [[gnu::always_inline]] B Expand(Simd::W words) const {
    return UpperHalves(source.template Expand<2 * kStep>(words),
                       source.template Expand<2 * kStep + 1>(words));
  }
};

// A permutation of 16-bit entries goes by five bits of each half word: the table stands there
// twice, so that the bit above a code of four does not matter (four times over for codes of two).
template <int kBits, const CodeTable& kTable>
struct TablePairs : PairDot {
  static constexpr int kSteps = 16 / kBits;
  static constexpr bool kScaled = true;
  const __m512i table = UpperHalfTable();
  template <int kStep>
  [[gnu::always_inline]] B Expand(Simd::W words) const {
    return _mm512_permutexvar_epi16(_mm512_srli_epi16(words, kStep * kBits), table);
  }

  [[gnu::always_inline]] static __m512i UpperHalfTable() {
    const __m256i once =
        _mm512_cvtepi32_epi16(Simd::ShiftRight<16>(Simd::AsWords(Simd::Load(kTable.values))));
    return _mm512_broadcast_i64x4(once);
  }
};

// Pairs of inputs a word, rounded to bfloat16.
struct PairWords {
  static constexpr int kInputs = 8;
  [[gnu::always_inline]] static __m128i Load(const float* x) {
    return (__m128i)_mm256_cvtneps_pbh(_mm256_loadu_ps(x));
  }
};

// 32 registers: rows * panels accumulators (at most 24, half with scales) and a register a panel.
template <class S>
struct Tables {
  static constexpr TileTable<4, 12> kPlain = {{
      {nullptr, Tile<S, 1, 1>, Tile<S, 2, 1>, Tile<S, 3, 1>, Tile<S, 4, 1>, Tile<S, 5, 1>,
       Tile<S, 6, 1>, Tile<S, 7, 1>, Tile<S, 8, 1>, Tile<S, 9, 1>, Tile<S, 10, 1>, Tile<S, 11, 1>,
       Tile<S, 12, 1>},
      {nullptr, Tile<S, 1, 2>, Tile<S, 2, 2>, Tile<S, 3, 2>, Tile<S, 4, 2>, Tile<S, 5, 2>,
       Tile<S, 6, 2>, Tile<S, 7, 2>, Tile<S, 8, 2>, Tile<S, 9, 2>, Tile<S, 10, 2>, Tile<S, 11, 2>,
       Tile<S, 12, 2>},
      {nullptr, Tile<S, 1, 4>, Tile<S, 2, 4>, Tile<S, 3, 4>, Tile<S, 4, 4>, Tile<S, 5, 4>,
       Tile<S, 6, 4>},
      {nullptr, Tile<S, 1, 8>, Tile<S, 2, 8>},
  }};
  static constexpr TileTable<3, 6> kScaled = {{
      {nullptr, Tile<S, 1, 1>, Tile<S, 2, 1>, Tile<S, 3, 1>, Tile<S, 4, 1>, Tile<S, 5, 1>,
       Tile<S, 6, 1>},
      {nullptr, Tile<S, 1, 2>, Tile<S, 2, 2>, Tile<S, 3, 2>, Tile<S, 4, 2>, Tile<S, 5, 2>,
       Tile<S, 6, 2>},
      {nullptr, Tile<S, 1, 4>, Tile<S, 2, 4>},
  }};
};

}  // namespace

Status LinearAvx512Bf16(const LinearArgs& args) {
  const int64_t words = LinearXStride(args.w.in) / 2;
  switch (args.w.format) {
    case WeightFormat::kF32:
    case WeightFormat::kF16:  // not exact in bfloat16
      return LinearAvx512(args);
    case WeightFormat::kBf16:
      return RunPacked<Tables, Bf16Pairs, PairWords>(args, words);
    case WeightFormat::kInt8:
      return RunPacked<Tables, WidePairs<Int8Source>, PairWords>(args, words);
    case WeightFormat::kInt4:
      return RunPacked<Tables, TablePairs<4, kInt4Values>, PairWords>(args, words);
    case WeightFormat::kFp8E4m3:
      return RunPacked<Tables, WidePairs<Fp8Source>, PairWords>(args, words);
    case WeightFormat::kTernary:
      return RunPacked<Tables, TablePairs<2, kTernaryValues>, PairWords>(args, words);
    case WeightFormat::kPot4:
      return RunPacked<Tables, TablePairs<4, kPot4Values>, PairWords>(args, words);
  }
  return {Code::kInvalidArgument, "linear: unknown format"};
}

}  // namespace penstock::kernels
