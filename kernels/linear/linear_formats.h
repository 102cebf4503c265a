#pragma once

// For SIMD files, after word_sources.h and linear_tiles.h: every format through tiles of float32.

#include "kernels/linear/linear.h"
#include "kernels/linear/linear_runs.h"
#include "kernels/linear/word_sources.h"

namespace penstock::kernels {
namespace {

template <template <class> class Tables>
Status RunFormat(const LinearArgs& args) {
  const int64_t words = LinearXStride(args.w.in);
  switch (args.w.format) {
    case WeightFormat::kF32: {
      const TileForm form = {Tables<F32Source>::kPlain};
      return RunTiles(args, form, form);
    }
    case WeightFormat::kBf16:
      return RunPacked<Tables, Bf16Source, FloatWords>(args, words);
    case WeightFormat::kF16:
      return RunPacked<Tables, F16Source, FloatWords>(args, words);
    case WeightFormat::kInt8:
      return RunPacked<Tables, Int8Source, FloatWords>(args, words);
    case WeightFormat::kInt4:
      return RunPacked<Tables, TableSource<4, kInt4Values>, FloatWords>(args, words);
    case WeightFormat::kFp8E4m3:
      return RunPacked<Tables, Fp8Source, FloatWords>(args, words);
    case WeightFormat::kTernary:
      return RunPacked<Tables, TableSource<2, kTernaryValues>, FloatWords>(args, words);
    case WeightFormat::kPot4:
      return RunPacked<Tables, TableSource<4, kPot4Values>, FloatWords>(args, words);
  }
  return {Code::kInvalidArgument, "linear: unknown format"};
}

}  // namespace
}  // namespace penstock::kernels
