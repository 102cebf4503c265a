#pragma once

// For SIMD files, after word_sources.h and linear_tiles.h: every format through tiles of float32.

#include "kernels/linear/linear.h"
#include "kernels/linear/linear_tiles.h"
#include "kernels/linear/word_sources.h"

namespace penstock::kernels {
namespace {

// Tables<Source>::kPlain for formats without scales, kScaled for those with: two sets of
// accumulators.
template <template <class> class Tables>
Status RunFormat(const LinearArgs& args) {
  const int64_t words = LinearXStride(args.w.in);
  switch (args.w.format) {
    case WeightFormat::kF32:
      return RunTiles(args, Tables<F32Source>::kPlain);
    case WeightFormat::kBf16:
      return RunTiles(args, Tables<Bf16Source>::kPlain, Interleave<FloatWords>, words);
    case WeightFormat::kF16:
      return RunTiles(args, Tables<F16Source>::kPlain, Interleave<FloatWords>, words);
    case WeightFormat::kInt8:
      return RunTiles(args, Tables<Int8Source>::kScaled, Interleave<FloatWords>, words);
    case WeightFormat::kInt4:
      return RunTiles(args, Tables<TableSource<4, kInt4Values>>::kScaled, Interleave<FloatWords>,
                      words);
    case WeightFormat::kFp8E4m3:
      return RunTiles(args, Tables<Fp8Source>::kScaled, Interleave<FloatWords>, words);
    case WeightFormat::kTernary:
      return RunTiles(args, Tables<TableSource<2, kTernaryValues>>::kScaled, Interleave<FloatWords>,
                      words);
    case WeightFormat::kPot4:
      return RunTiles(args, Tables<TableSource<4, kPot4Values>>::kScaled, Interleave<FloatWords>,
                      words);
  }
  return {Code::kInvalidArgument, "linear: unknown format"};
}

}  // namespace
}  // namespace penstock::kernels
