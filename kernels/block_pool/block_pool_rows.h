#pragma once

// For SIMD files, after one of simd_avx2.h and simd_avx512.h.

#include <cstdint>

#include "kernels/block_pool/block_pool.h"

namespace penstock::kernels {
namespace {

struct PooledBlock {
  int64_t sequence;
  int64_t block;
};

[[gnu::always_inline]] inline void StoreColumns(float* p, int64_t n, Simd::V v) {
  if (n >= Simd::kLanes) {
    Simd::Store(p, v);
  } else {
    Simd::StorePart(p, n, v);
  }
}

[[gnu::always_inline]] inline Simd::V LoadColumns(const float* p, int64_t n) {
  return n >= Simd::kLanes ? Simd::Load(p) : Simd::LoadPart(p, n, Simd::Zero());
}

// The pools of `count` > 0 positions of one head, one behind the other; returns where they end.
float* PoolHead(const float* x, int64_t stride, int64_t count, int64_t dim, uint8_t pools,
                float* y) {
  const Simd::V zero = Simd::Zero(), largest = Simd::Set(__FLT_MAX__);
  const Simd::V divisor = Simd::Set(static_cast<float>(count));
  for (int64_t c = 0; c < dim; c += Simd::kLanes) {
    const int64_t n = dim - c;
    Simd::V most = Simd::Set(-__builtin_inff()), least = Simd::Set(__builtin_inff());
    Simd::V sum = zero, nan = zero;
    for (int64_t p = 0; p < count; ++p) {
      const Simd::V v = LoadColumns(x + p * stride + c, n);
      most = Simd::Max(v, most);
      least = Simd::Min(v, least);
      sum = Simd::Add(sum, v);
      // Max and Min skip NaN; 0 or NaN collects it, infinities apart.
      nan = Simd::Fma(zero, Simd::Min(largest, Simd::Abs(v)), nan);
    }
    float* at = y + c;
    if ((pools & kPoolMax) != 0) {
      StoreColumns(at, n, Simd::Add(most, nan));
      at += dim;
    }
    if ((pools & kPoolMin) != 0) {
      StoreColumns(at, n, Simd::Add(least, nan));
      at += dim;
    }
    if ((pools & kPoolMean) != 0) StoreColumns(at, n, Simd::Div(sum, divisor));
  }
  return y + PoolCount(pools) * dim;
}

// What one gate head reads of one block.
void PoolBlock(const BlockPoolArgs& args, const PooledBlock& at, int64_t gate_head, float* y) {
  const BlockPoolWeights& w = args.w;
  const int64_t position_stride = args.position_stride != 0 ? args.position_stride : w.head_dim;
  const int64_t head_stride =
      args.head_stride != 0 ? args.head_stride : args.most_blocks * w.block * w.head_dim;
  const int64_t sequence_stride =
      args.sequence_stride != 0 ? args.sequence_stride : w.gate_heads * w.group * head_stride;
  const int64_t first = at.block * w.block, left = args.length[at.sequence] - first;
  const int64_t count = left < w.block ? left : w.block;
  for (int64_t i = 0; i < w.group; ++i) {
    const float* x = args.x + at.sequence * sequence_stride +
                     (gate_head * w.group + i) * head_stride + first * position_stride;
    y = PoolHead(x, position_stride, count, w.head_dim, w.pools, y);
  }
}

// cosines and sines [rows, dim/2] of the blocks' angles: in float64, where positions of any length
// leave the fraction of a turn exact enough.
void Angles(const BlockPoolArgs& args, const PooledBlock* blocks, int64_t rows, int64_t half,
            const double* frequencies, float* cosines, float* sines) {
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t first = args.rope_first != nullptr ? args.rope_first[blocks[r].sequence] : 0;
    const double position = static_cast<double>(first + blocks[r].block * args.rope_step);
    for (int64_t i = 0; i < half; ++i) {
      const double angle = position * frequencies[i];
      cosines[r * half + i] = static_cast<float>(__builtin_cos(angle));
      sines[r * half + i] = static_cast<float>(__builtin_sin(angle));
    }
  }
}

void Rotate(const float* x, const float* cosines, const float* sines, int64_t half, float* y) {
  for (int64_t i = 0; i < half; i += Simd::kLanes) {
    const int64_t n = half - i;
    const Simd::V a = LoadColumns(x + i, n), b = LoadColumns(x + half + i, n);
    const Simd::V cosine = LoadColumns(cosines + i, n), sine = LoadColumns(sines + i, n);
    StoreColumns(y + i, n, Simd::Sub(Simd::Mul(a, cosine), Simd::Mul(b, sine)));
    StoreColumns(y + half + i, n, Simd::Add(Simd::Mul(b, cosine), Simd::Mul(a, sine)));
  }
}

struct PoolScratch {
  float* pooled;     // [kPoolRows, inputs]
  float* projected;  // [kPoolRows, dim]
  float* cosines;    // [kPoolRows, dim/2]
  float* sines;
  double* frequencies;  // [dim/2]
  Workspace linear;
};

// All gate heads of up to kPoolRows blocks.
Status PoolRows(const BlockPoolArgs& args, const PooledBlock* blocks, int64_t rows, int64_t dim,
                const PoolScratch& scratch, Status (*linear)(const LinearArgs&)) {
  const BlockPoolWeights& w = args.w;
  const int64_t in = w.inputs(), half = dim / 2;
  const bool rotated = w.rope_base > 0;
  Status status;
  if (rotated) {
    Angles(args, blocks, rows, half, scratch.frequencies, scratch.cosines, scratch.sines);
  }
  for (int64_t h = 0; h < w.gate_heads; ++h) {
    for (int64_t r = 0; r < rows; ++r) PoolBlock(args, blocks[r], h, scratch.pooled + r * in);
    status = linear(
        {w.project[h], rows, scratch.pooled, in, scratch.projected, dim, nullptr, scratch.linear});
    if (status.code != Code::kOk) return status;
    for (int64_t r = 0; r < rows; ++r) {
      const float* z = scratch.projected + r * dim;
      float* y =
          args.y +
          ((blocks[r].sequence * w.gate_heads + h) * args.most_blocks + blocks[r].block) * dim;
      if (rotated) {
        Rotate(z, scratch.cosines + r * half, scratch.sines + r * half, half, y);
      } else {
        for (int64_t i = 0; i < dim; ++i) y[i] = z[i];
      }
    }
  }
  return status;
}

Status BlockPoolRows(const BlockPoolArgs& args, Status (*linear)(const LinearArgs&)) {
  Status status = CheckBlockPool(args);
  const BlockPoolWeights& w = args.w;
  const int64_t dim = w.gate_heads > 0 ? w.project[0].out : 0;
  if (status.code != Code::kOk || args.sequences * args.most_blocks * dim == 0) return status;
  char* at = WorkspaceStart(args.workspace);
  PoolScratch scratch;
  scratch.pooled = TakeFloats(&at, kPoolRows * w.inputs());
  scratch.projected = TakeFloats(&at, kPoolRows * dim);
  scratch.cosines = TakeFloats(&at, kPoolRows * dim);
  scratch.sines = scratch.cosines + kPoolRows * (dim / 2);
  scratch.frequencies = reinterpret_cast<double*>(TakeFloats(&at, dim));
  scratch.linear = {at, BlockPoolLinearBytes(w)};
  if (w.rope_base > 0) {
    for (int64_t i = 0; i < dim / 2; ++i) {
      const double exponent = -2 * static_cast<double>(i) / static_cast<double>(dim);
      scratch.frequencies[i] = __builtin_pow(static_cast<double>(w.rope_base), exponent);
    }
  }
  PooledBlock blocks[kPoolRows];
  int64_t rows = 0;
  for (int64_t s = 0; s < args.sequences; ++s) {
    const int64_t end = BlocksOf(args.length[s], w.block);
    for (int64_t j = args.first_block != nullptr ? args.first_block[s] : 0; j < end; ++j) {
      blocks[rows++] = {s, j};
      if (rows < kPoolRows) continue;
      status = PoolRows(args, blocks, rows, dim, scratch, linear);
      if (status.code != Code::kOk) return status;
      rows = 0;
    }
  }
  return rows > 0 ? PoolRows(args, blocks, rows, dim, scratch, linear) : status;
}

}  // namespace
}  // namespace penstock::kernels
