#pragma once

// For SIMD files, after one of simd_avx2.h and simd_avx512.h.

#include <cstdint>

#include "kernels/combine/combine.h"

namespace penstock::kernels {
namespace {

// One register of columns, n of them valid. Mul and Add, never Fma: combine.h.
[[gnu::always_inline]] inline void CombineColumns(const CombineArgs& args, int64_t t, int64_t c,
                                                  int64_t n) {
  const Simd::V zero = Simd::Zero();
  const bool whole = n >= Simd::kLanes;
  Simd::V sum = zero;
  for (int64_t pair = t * args.k; pair < (t + 1) * args.k; ++pair) {
    const int32_t at = args.dst[pair];
    if (at < 0 || at >= args.pairs) continue;
    const float* h = args.h + at * args.dim + c;
    const Simd::V v = whole ? Simd::Load(h) : Simd::LoadPart(h, n, zero);
    sum = Simd::Add(sum, Simd::Mul(Simd::Set(args.weights[pair]), v));
  }
  const int64_t out = t * args.dim + c;
  if (args.residual != nullptr) {
    const float* r = args.residual + out;
    sum = Simd::Add(sum, whole ? Simd::Load(r) : Simd::LoadPart(r, n, zero));
  }
  if (whole) {
    Simd::Store(args.y + out, sum);
  } else {
    Simd::StorePart(args.y + out, n, sum);
  }
}

Status CombineRows(const CombineArgs& args) {
  const Status status = CheckCombine(args);
  if (status.code != Code::kOk) return status;
  for (int64_t t = 0; t < args.rows; ++t) {
    int64_t c = 0;
    for (; c + Simd::kLanes <= args.dim; c += Simd::kLanes) {
      CombineColumns(args, t, c, Simd::kLanes);
    }
    if (c < args.dim) CombineColumns(args, t, c, args.dim - c);
  }
  return status;
}

}  // namespace
}  // namespace penstock::kernels
