#pragma once

// For SIMD files, after simd_exp.h.

#include <cstdint>

#include "kernels/softmax/softmax.h"

namespace penstock::kernels {
namespace {

// y_i = exp((x_i - max x) * scale); returns sum y. y may be x.
float ExpRow(const float* x, float* y, int64_t dim, float scale) {
  constexpr int kLanes = Simd::kLanes;
  const Simd::V lowest = Simd::Set(-__builtin_inff());
  const int64_t whole = dim / kLanes * kLanes, rest = dim - whole;
  Simd::V largest = lowest;
  // NaN in the first operand is skipped here; its exp makes the sum NaN.
  for (int64_t i = 0; i < whole; i += kLanes) largest = Simd::Max(Simd::Load(x + i), largest);
  if (rest > 0) largest = Simd::Max(Simd::LoadPart(x + whole, rest, lowest), largest);
  const Simd::V max = Simd::Set(Simd::ReduceMax(largest));
  const Simd::V factor = Simd::Set(scale);
  Simd::V sum = Simd::Zero();
  for (int64_t i = 0; i < whole; i += kLanes) {
    const Simd::V e = Exp(Simd::Mul(Simd::Sub(Simd::Load(x + i), max), factor));
    Simd::Store(y + i, e);
    sum = Simd::Add(sum, e);
  }
  if (rest > 0) {
    const Simd::V part = Simd::LoadPart(x + whole, rest, max);
    const Simd::V e = Exp(Simd::Mul(Simd::Sub(part, max), factor));
    Simd::StorePart(y + whole, rest, e);
    sum = Simd::Add(sum, Simd::LoadPart(y + whole, rest, Simd::Zero()));
  }
  return Simd::ReduceAdd(sum);
}

[[maybe_unused]] Status SoftmaxRows(const SoftmaxArgs& args) {
  constexpr int kLanes = Simd::kLanes;
  const Status status = CheckSoftmax(args);
  if (status.code != Code::kOk) return status;
  for (int64_t row = 0; row < args.rows; ++row) {
    float* y = args.y + row * args.dim;
    const Simd::V sum = Simd::Set(ExpRow(args.x + row * args.dim, y, args.dim, 1.0f));
    int64_t i = 0;
    for (; i + kLanes <= args.dim; i += kLanes)
      Simd::Store(y + i, Simd::Div(Simd::Load(y + i), sum));
    if (i < args.dim) {
      const Simd::V part = Simd::LoadPart(y + i, args.dim - i, Simd::Zero());
      Simd::StorePart(y + i, args.dim - i, Simd::Div(part, sum));
    }
  }
  return status;
}

}  // namespace
}  // namespace penstock::kernels
