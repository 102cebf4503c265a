#pragma once

// For SIMD files, after simd_exp.h.

#include <cstdint>

#include "kernels/associative_memory/associative_memory.h"
#include "kernels/softmax/softmax.h"

namespace penstock::kernels {
namespace {

// The ops that it is made of, of one instruction set.
struct AssociativeOps {
  Status (*linear)(const LinearArgs&);
  Status (*causal_conv)(const CausalConvArgs&);
  Status (*softmax)(const SoftmaxArgs&);
};

[[gnu::always_inline]] inline Simd::V LoadColumns(const float* p, int64_t n) {
  return n >= Simd::kLanes ? Simd::Load(p) : Simd::LoadPart(p, n, Simd::Zero());
}

[[gnu::always_inline]] inline void StoreColumns(float* p, int64_t n, Simd::V v) {
  if (n >= Simd::kLanes) {
    Simd::Store(p, v);
  } else {
    Simd::StorePart(p, n, v);
  }
}

// y = (x - mean) / sqrt(variance + eps) * weight + bias. The variance is of the differences: a
// large mean cancels nothing.
void LayerNormRow(const float* x, const float* weight, const float* bias, float eps, int64_t d,
                  float* y) {
  Simd::V sum = Simd::Zero();
  for (int64_t i = 0; i < d; i += Simd::kLanes) sum = Simd::Add(sum, LoadColumns(x + i, d - i));
  const float mean = Simd::ReduceAdd(sum) / static_cast<float>(d);
  const Simd::V means = Simd::Set(mean);
  Simd::V squares = Simd::Zero();
  for (int64_t i = 0; i < d; i += Simd::kLanes) {
    const int64_t n = d - i;
    const Simd::V part = n >= Simd::kLanes ? Simd::Load(x + i) : Simd::LoadPart(x + i, n, means);
    const Simd::V difference = Simd::Sub(part, means);
    squares = Simd::Fma(difference, difference, squares);
  }
  const float variance = Simd::ReduceAdd(squares) / static_cast<float>(d);
  const Simd::V scale = Simd::Set(1.0f / __builtin_sqrtf(variance + eps));
  for (int64_t i = 0; i < d; i += Simd::kLanes) {
    const int64_t n = d - i;
    const Simd::V normed = Simd::Mul(Simd::Sub(LoadColumns(x + i, n), means), scale);
    const Simd::V shift = bias != nullptr ? LoadColumns(bias + i, n) : Simd::Zero();
    StoreColumns(y + i, n, Simd::Fma(normed, LoadColumns(weight + i, n), shift));
  }
}

// y = x + sigmoid(gates of the local part) * local + sigmoid(those of the global) * global.
void MixRow(const float* x, const float* gates, const float* local, const float* global, int64_t d,
            float* y) {
  for (int64_t i = 0; i < d; i += Simd::kLanes) {
    const int64_t n = d - i;
    const Simd::V near = Simd::Fma(Sigmoid(LoadColumns(gates + i, n)), LoadColumns(local + i, n),
                                   LoadColumns(x + i, n));
    StoreColumns(
        y + i, n,
        Simd::Fma(Sigmoid(LoadColumns(gates + d + i, n)), LoadColumns(global + i, n), near));
  }
}

struct AssociativeScratch {
  float* h;       // [rows, d]
  float* local;   // [rows, d]
  float* global;  // [rows, d]
  float* scores;  // [rows, slots]
  float* gates;   // [rows, 2d]
  Workspace linear;
};

// `steps` consecutive steps of each of `sequences` sequences that lie one behind the other.
Status AssociativeBlockRows(const AssociativeMemoryWeights& w, int64_t sequences, int64_t steps,
                            const float* x, float* state, float* y,
                            const AssociativeScratch& scratch, const AssociativeOps& ops) {
  const int64_t d = w.keys.in, slots = w.keys.out, rows = sequences * steps;
  const float* h = scratch.h;
  for (int64_t r = 0; r < rows; ++r) {
    LayerNormRow(x + r * d, w.norm_weight, w.norm_bias, w.eps, d, scratch.h + r * d);
  }
  Status status = ops.causal_conv({w.conv, sequences, steps, h, d, false, state, scratch.local, d});
  if (status.code != Code::kOk) return status;
  status = ops.linear({w.keys, rows, h, d, scratch.scores, slots, nullptr, scratch.linear});
  if (status.code != Code::kOk) return status;
  status = ops.softmax({rows, slots, scratch.scores, scratch.scores});
  if (status.code != Code::kOk) return status;
  status = ops.linear(
      {w.values, rows, scratch.scores, slots, scratch.global, d, nullptr, scratch.linear});
  if (status.code != Code::kOk) return status;
  status = ops.linear({w.gates, rows, h, d, scratch.gates, 2 * d, nullptr, scratch.linear});
  if (status.code != Code::kOk) return status;
  for (int64_t r = 0; r < rows; ++r) {
    MixRow(x + r * d, scratch.gates + r * 2 * d, scratch.local + r * d, scratch.global + r * d, d,
           y + r * d);
  }
  return status;
}

Status AssociativeMemoryRows(const AssociativeMemoryArgs& args, const AssociativeOps& ops) {
  Status status = CheckAssociativeMemory(args);
  const AssociativeMemoryWeights& w = args.w;
  const int64_t d = w.keys.in, steps = args.steps, kept = (w.conv.width - 1) * d;
  if (status.code != Code::kOk || args.sequences * steps * d == 0) return status;
  const int64_t block = AssociativeBlock(args.sequences, steps);
  char* at = WorkspaceStart(args.workspace);
  AssociativeScratch scratch;
  scratch.h = TakeFloats(&at, block * d);
  scratch.local = TakeFloats(&at, block * d);
  scratch.global = TakeFloats(&at, block * d);
  scratch.scores = TakeFloats(&at, block * w.keys.out);
  scratch.gates = TakeFloats(&at, block * 2 * d);
  float* carried = TakeFloats(&at, kept);
  scratch.linear = {at, AssociativeLinearBytes(w, block)};
  const bool whole = steps <= block;  // sequences fit a block
  const int64_t together = whole ? block / steps : 1;
  for (int64_t s = 0; s < args.sequences; s += together) {
    const int64_t sequences = args.sequences - s < together ? args.sequences - s : together;
    float* state = args.state != nullptr ? args.state + s * kept : nullptr;
    if (state == nullptr && !whole) {
      state = carried;  // from block to block
      for (int64_t i = 0; i < kept; ++i) state[i] = 0;
    }
    for (int64_t t = 0; t < steps; t += block) {
      const int64_t first = (s * steps + t) * d, left = steps - t;
      status = AssociativeBlockRows(w, sequences, left < block ? left : block, args.x + first,
                                    state, args.y + first, scratch, ops);
      if (status.code != Code::kOk) return status;
    }
  }
  return status;
}

}  // namespace
}  // namespace penstock::kernels
