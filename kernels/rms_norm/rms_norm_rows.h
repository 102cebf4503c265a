#pragma once

// For SIMD files, after one of simd_avx2.h and simd_avx512.h.

#include <cstdint>

#include "kernels/rms_norm/rms_norm.h"

namespace penstock::kernels {
namespace {

void RmsNormRow(const float* x, const float* weight, float* y, int64_t dim, float eps) {
  constexpr int kLanes = Simd::kLanes;
  Simd::V squares = Simd::Zero();
  int64_t i = 0;
  for (; i + kLanes <= dim; i += kLanes) {
    const Simd::V v = Simd::Load(x + i);
    squares = Simd::Fma(v, v, squares);
  }
  if (i < dim) {
    const Simd::V v = Simd::LoadPart(x + i, dim - i, Simd::Zero());
    squares = Simd::Fma(v, v, squares);
  }
  const float mean = Simd::ReduceAdd(squares) / static_cast<float>(dim);
  const Simd::V scale = Simd::Set(1.0f / __builtin_sqrtf(mean + eps));
  for (i = 0; i + kLanes <= dim; i += kLanes) {
    Simd::Store(y + i, Simd::Mul(Simd::Mul(Simd::Load(x + i), scale), Simd::Load(weight + i)));
  }
  if (i < dim) {
    const Simd::V v = Simd::LoadPart(x + i, dim - i, Simd::Zero());
    const Simd::V w = Simd::LoadPart(weight + i, dim - i, Simd::Zero());
    Simd::StorePart(y + i, dim - i, Simd::Mul(Simd::Mul(v, scale), w));
  }
}

Status RmsNormRows(const RmsNormArgs& args) {
  const Status status = CheckRmsNorm(args);
  if (status.code != Code::kOk) return status;
  for (int64_t row = 0; row < args.rows; ++row) {
    const int64_t at = row * args.dim;
    RmsNormRow(args.x + at, args.weight, args.y + at, args.dim, args.eps);
  }
  return status;
}

}  // namespace
}  // namespace penstock::kernels
