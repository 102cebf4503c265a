#pragma once

// For SIMD files, after one of simd_avx2.h and simd_avx512.h.

#include <cstdint>

#include "kernels/channel_linear/channel_linear.h"
#include "kernels/device/unroll.h"

namespace penstock::kernels {
namespace {

constexpr int kChannelVecs = static_cast<int>(kChannelLanes) / Simd::kLanes;
// Outputs at once: their sums hide the latency of a multiply-add and stay in registers.
constexpr int kChannelOutputs = Simd::kLanes == 16 ? 8 : 4;

// A row's inputs: zero where not listed, and the blocks of 16 that hold a listed one.
struct ChannelInputs {
  float* x;         // [in], padded to whole blocks
  int32_t* blocks;  // in units of 16
  int64_t count;
};

void GatherInputs(const ChannelLinearArgs& args, int64_t row, ChannelInputs* inputs) {
  const float* x = args.x + row * args.in;
  const int64_t blocks = (args.in + kChannelLanes - 1) / kChannelLanes;
  inputs->count = 0;
  if (args.inputs.index == nullptr) {
    for (int64_t k = 0; k < blocks * kChannelLanes; ++k) inputs->x[k] = k < args.in ? x[k] : 0;
    for (; inputs->count < blocks; ++inputs->count) {
      inputs->blocks[inputs->count] = static_cast<int32_t>(inputs->count);
    }
    return;
  }
  for (int64_t k = 0; k < blocks * kChannelLanes; ++k) inputs->x[k] = 0;
  for (int64_t i = 0; i < args.inputs.count[row]; ++i) {
    const int32_t k = args.inputs.index[row * args.in + i];
    const int32_t block = k / static_cast<int32_t>(kChannelLanes);
    inputs->x[k] = x[k];
    if (inputs->count == 0 || inputs->blocks[inputs->count - 1] != block) {
      inputs->blocks[inputs->count++] = block;
    }
  }
}

// y of kOutputs outputs, w their rows of weights.
template <int kOutputs>
[[gnu::always_inline]] inline void DotOutputs(const ChannelLinearArgs& args,
                                              const ChannelInputs& inputs, const int32_t* outputs,
                                              float* y) {
  const Simd::V zero = Simd::Zero();
  const float* w[kOutputs];
  Simd::V sums[kOutputs][kChannelVecs];
  PENSTOCK_UNROLL
  for (int o = 0; o < kOutputs; ++o) {
    w[o] = args.w + outputs[o] * args.in;
    PENSTOCK_UNROLL
    for (int v = 0; v < kChannelVecs; ++v) sums[o][v] = zero;
  }
  int64_t i = 0;
  for (; i < inputs.count; ++i) {
    const int64_t first = inputs.blocks[i] * kChannelLanes;
    if (args.in - first < kChannelLanes) break;
    PENSTOCK_UNROLL
    for (int v = 0; v < kChannelVecs; ++v) {
      const int64_t k = first + v * Simd::kLanes;
      const Simd::V x = Simd::Load(inputs.x + k);
      PENSTOCK_UNROLL
      for (int o = 0; o < kOutputs; ++o)
        sums[o][v] = Simd::Fma(Simd::Load(w[o] + k), x, sums[o][v]);
    }
  }
  if (i < inputs.count) {  // the last block, which is not whole
    PENSTOCK_UNROLL
    for (int v = 0; v < kChannelVecs; ++v) {
      const int64_t k = inputs.blocks[i] * kChannelLanes + v * Simd::kLanes, n = args.in - k;
      if (n <= 0) continue;
      const Simd::V x = Simd::Load(inputs.x + k);
      PENSTOCK_UNROLL
      for (int o = 0; o < kOutputs; ++o) {
        const Simd::V part =
            n >= Simd::kLanes ? Simd::Load(w[o] + k) : Simd::LoadPart(w[o] + k, n, zero);
        sums[o][v] = Simd::Fma(part, x, sums[o][v]);
      }
    }
  }
  PENSTOCK_UNROLL
  for (int o = 0; o < kOutputs; ++o) {
    const float sum = Simd::ReduceAdd(
        kChannelVecs == 2 ? Simd::Add(sums[o][0], sums[o][kChannelVecs - 1]) : sums[o][0]);
    y[outputs[o]] = args.bias != nullptr ? sum + args.bias[outputs[o]] : sum;
  }
}

Status ChannelLinearRows(const ChannelLinearArgs& args) {
  const Status status = CheckChannelLinear(args);
  if (status.code != Code::kOk || args.rows == 0 || args.out == 0) return status;
  char* at = WorkspaceStart(args.workspace);
  const int64_t blocks = (args.in + kChannelLanes - 1) / kChannelLanes;
  ChannelInputs inputs;
  inputs.x = TakeFloats(&at, blocks * kChannelLanes);
  inputs.blocks = reinterpret_cast<int32_t*>(TakeFloats(&at, blocks));
  for (int64_t t = 0; t < args.rows; ++t) {
    GatherInputs(args, t, &inputs);
    float* y = args.y + t * args.out;
    const bool listed = args.outputs.index != nullptr;
    const int32_t* outputs = listed ? args.outputs.index + t * args.out : nullptr;
    const int64_t count = listed ? args.outputs.count[t] : args.out;
    if (listed) {
      for (int64_t c = 0; c < args.out; ++c) y[c] = 0;
    }
    for (int64_t i = 0; i < count; i += kChannelOutputs) {
      int32_t some[kChannelOutputs];
      const int64_t n = count - i < kChannelOutputs ? count - i : kChannelOutputs;
      for (int64_t j = 0; j < n; ++j) {
        some[j] = listed ? outputs[i + j] : static_cast<int32_t>(i + j);
      }
      if (n == kChannelOutputs) {
        DotOutputs<kChannelOutputs>(args, inputs, some, y);
      } else {
        for (int64_t j = 0; j < n; ++j) DotOutputs<1>(args, inputs, some + j, y);
      }
    }
  }
  return status;
}

}  // namespace
}  // namespace penstock::kernels
