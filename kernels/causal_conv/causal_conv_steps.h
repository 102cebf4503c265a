#pragma once

// For SIMD files, after simd_exp.h.

#include <cstdint>

#include "kernels/causal_conv/causal_conv.h"
#include "kernels/device/unroll.h"

namespace penstock::kernels {
namespace {

// Steps that share a load of the taps.
constexpr int kConvSteps = 4;

// One sequence: the inputs that a step sees.
struct ConvInputs {
  const float* x;
  int64_t stride;
  const float* state;  // or null
  int64_t kept;        // width - 1, and steps of the state
  int64_t channels;

  // t may be negative: down to -kept with a state, else not.
  [[gnu::always_inline]] const float* At(int64_t t) const {
    return t >= 0 ? x + t * stride : state + (t + kept) * channels;
  }
};

[[gnu::always_inline]] inline Simd::V ConvLoad(const float* p, int64_t n) {
  return n >= Simd::kLanes ? Simd::Load(p) : Simd::LoadPart(p, n, Simd::Zero());
}

// kSteps outputs. rows[i + s] is what tap i of step s meets; taps before `first` meet nothing.
template <int kSteps>
void ConvTile(const CausalConvWeights& w, const float* const* rows, int64_t first, bool silu,
              float* y, int64_t y_stride) {
  for (int64_t c = 0; c < w.channels; c += Simd::kLanes) {
    const int64_t n = w.channels - c;
    const Simd::V bias = w.bias != nullptr ? ConvLoad(w.bias + c, n) : Simd::Zero();
    Simd::V sums[kSteps];
    PENSTOCK_UNROLL
    for (int s = 0; s < kSteps; ++s) sums[s] = bias;
    for (int64_t i = first; i < w.width; ++i) {
      const Simd::V tap = ConvLoad(w.taps + i * w.channels + c, n);
      PENSTOCK_UNROLL
      for (int s = 0; s < kSteps; ++s) {
        sums[s] = Simd::Fma(tap, ConvLoad(rows[i + s] + c, n), sums[s]);
      }
    }
    PENSTOCK_UNROLL
    for (int s = 0; s < kSteps; ++s) {
      const Simd::V sum = silu ? Simd::Mul(sums[s], Sigmoid(sums[s])) : sums[s];
      if (n >= Simd::kLanes) {
        Simd::Store(y + s * y_stride + c, sum);
      } else {
        Simd::StorePart(y + s * y_stride + c, n, sum);
      }
    }
  }
}

// Steps t .. t + kSteps - 1 of a sequence.
template <int kSteps>
void ConvSteps(const CausalConvArgs& args, const ConvInputs& inputs, int64_t t, float* y,
               int64_t y_stride) {
  const float* rows[kMostConvWidth - 1 + kSteps];
  const int64_t first = inputs.state == nullptr && t < inputs.kept ? inputs.kept - t : 0;
  for (int64_t i = first; i < inputs.kept + kSteps; ++i) rows[i] = inputs.At(t - inputs.kept + i);
  ConvTile<kSteps>(args.w, rows, first, args.silu, y + t * y_stride, y_stride);
}

Status CausalConvSequences(const CausalConvArgs& args) {
  const Status status = CheckCausalConv(args);
  const int64_t channels = args.w.channels, steps = args.steps, kept = args.w.width - 1;
  if (status.code != Code::kOk || args.sequences * steps * channels == 0) return status;
  const int64_t x_stride = args.x_stride != 0 ? args.x_stride : channels;
  const int64_t y_stride = args.y_stride != 0 ? args.y_stride : channels;
  for (int64_t sequence = 0; sequence < args.sequences; ++sequence) {
    float* state = args.state != nullptr ? args.state + sequence * kept * channels : nullptr;
    const ConvInputs inputs = {args.x + sequence * steps * x_stride, x_stride, state, kept,
                               channels};
    float* y = args.y + sequence * steps * y_stride;
    int64_t t = 0;
    // Without a state the first steps see fewer taps, each its own number.
    if (state == nullptr) {
      for (; t < steps && t < kept; ++t) ConvSteps<1>(args, inputs, t, y, y_stride);
    }
    for (; t + kConvSteps <= steps; t += kConvSteps) {
      ConvSteps<kConvSteps>(args, inputs, t, y, y_stride);
    }
    for (; t < steps; ++t) ConvSteps<1>(args, inputs, t, y, y_stride);
    if (state == nullptr) continue;
    // In rising order: what moves within the state moves to where it has been read already.
    for (int64_t i = 0; i < kept; ++i) {
      const float* last = inputs.At(steps - kept + i);
      for (int64_t c = 0; c < channels; ++c) state[i * channels + c] = last[c];
    }
  }
  return status;
}

}  // namespace
}  // namespace penstock::kernels
