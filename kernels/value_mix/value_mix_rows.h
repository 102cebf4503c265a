#pragma once

// For SIMD files, after simd_exp.h.

#include <cstdint>

#include "kernels/value_mix/value_mix.h"

namespace penstock::kernels {
namespace {

[[gnu::always_inline]] inline Simd::V TwiceSigmoid(Simd::V z) {
  return Simd::Mul(Simd::Set(2.0f), Sigmoid(z));
}

// bank: slot 0 of this head, slots `stride` apart.
[[gnu::always_inline]] inline void MixHead(const ValueMixArgs& args, const float* gates,
                                           const float* bank, int64_t stride, float* v) {
  const int64_t dim = args.head_dim;
  int64_t c = 0;
  for (; c + Simd::kLanes <= dim; c += Simd::kLanes) {
    Simd::V sum = Simd::Mul(Simd::Set(gates[0]), Simd::Load(v + c));
    for (int64_t m = 0; m < args.slots; ++m) {
      sum = Simd::Fma(Simd::Set(gates[m + 1]), Simd::Load(bank + m * stride + c), sum);
    }
    Simd::Store(v + c, sum);
  }
  if (c < dim) {
    const Simd::V zero = Simd::Zero();
    Simd::V sum = Simd::Mul(Simd::Set(gates[0]), Simd::LoadPart(v + c, dim - c, zero));
    for (int64_t m = 0; m < args.slots; ++m) {
      sum = Simd::Fma(Simd::Set(gates[m + 1]), Simd::LoadPart(bank + m * stride + c, dim - c, zero),
                      sum);
    }
    Simd::StorePart(v + c, dim - c, sum);
  }
}

Status ValueMixRows(const ValueMixArgs& args) {
  const Status status = CheckValueMix(args);
  const int64_t width = args.heads * args.head_dim;
  if (status.code != Code::kOk || args.rows == 0 || width == 0) return status;
  char* at = WorkspaceStart(args.workspace);
  const int64_t count = args.heads * (args.slots + 1);
  float* gates = TakeFloats(&at, count);
  for (int64_t t = 0; t < args.rows; ++t) {
    const float* logits = args.gates + t * count;
    int64_t i = 0;
    for (; i + Simd::kLanes <= count; i += Simd::kLanes) {
      Simd::Store(gates + i, TwiceSigmoid(Simd::Load(logits + i)));
    }
    if (i < count) {
      const Simd::V z = Simd::LoadPart(logits + i, count - i, Simd::Zero());
      Simd::StorePart(gates + i, count - i, TwiceSigmoid(z));
    }
    const float* bank = args.slots > 0 ? args.bank + args.token[t] * args.slots * width : nullptr;
    for (int64_t head = 0; head < args.heads; ++head) {
      const int64_t column = head * args.head_dim;
      MixHead(args, gates + head * (args.slots + 1), bank != nullptr ? bank + column : nullptr,
              width, args.v + t * width + column);
    }
  }
  return status;
}

}  // namespace
}  // namespace penstock::kernels
