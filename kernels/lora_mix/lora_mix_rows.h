#pragma once

// For SIMD files, after one of simd_avx2.h and simd_avx512.h.

#include <cstdint>

#include "kernels/lora_mix/lora_mix.h"

namespace penstock::kernels {
namespace {

// u *= weight; exactly 0, whatever u, where the adapter is off.
[[gnu::always_inline]] inline void ScaleRanks(float* u, int64_t count, float weight, bool on) {
  const Simd::V scale = Simd::Set(weight), zero = Simd::Zero();
  int64_t r = 0;
  for (; r + Simd::kLanes <= count; r += Simd::kLanes) {
    Simd::Store(u + r, on ? Simd::Mul(scale, Simd::Load(u + r)) : zero);
  }
  if (r < count) {
    const Simd::V v = Simd::LoadPart(u + r, count - r, zero);
    Simd::StorePart(u + r, count - r, on ? Simd::Mul(scale, v) : zero);
  }
}

// False for NaN too.
[[gnu::always_inline]] inline bool IsOn(float lambda) { return lambda < 0 || lambda > 0; }

[[gnu::always_inline]] inline bool AnyOn(const LoraMixArgs& args, int64_t row) {
  for (int64_t a = 0; a < args.bank.count; ++a) {
    if (IsOn(args.lambda[row * args.bank.count + a])) return true;
  }
  return false;
}

// Rows that follow each other, each with an adapter that is on.
Status LoraRun(const LoraMixArgs& args, int64_t first, int64_t rows, float* u, Workspace scratch,
               Status (*linear)(const LinearArgs&)) {
  const LoraBank& bank = args.bank;
  LinearArgs down, up;
  down.w = bank.down;
  down.x = args.x + first * bank.down.in;
  down.y = u;
  up.w = bank.up;
  up.x = u;
  up.y = args.y + first * bank.up.out;
  up.residual = up.y;
  down.rows = up.rows = rows;
  down.workspace = up.workspace = scratch;
  const Status status = linear(down);
  if (status.code != Code::kOk) return status;
  for (int64_t j = 0; j < rows; ++j) {
    int64_t rank = 0;
    for (int64_t a = 0; a < bank.count; ++a) {
      const float lambda = args.lambda[(first + j) * bank.count + a];
      ScaleRanks(u + j * bank.down.out + rank, bank.end[a] - rank,
                 args.gain * (lambda * bank.scale[a]), IsOn(lambda));
      rank = bank.end[a];
    }
  }
  return linear(up);
}

Status LoraMixRows(const LoraMixArgs& args, Status (*linear)(const LinearArgs&)) {
  Status status = CheckLoraMix(args);
  const LoraBank& bank = args.bank;
  if (status.code != Code::kOk || args.rows == 0 || bank.count == 0 || bank.up.out == 0) {
    return status;
  }
  const int64_t block = args.rows < kLoraRowBlock ? args.rows : kLoraRowBlock;
  char* at = WorkspaceStart(args.workspace);
  float* u = TakeFloats(&at, block * bank.down.out);
  const Workspace scratch = {at, LoraMixLinearBytes(bank, block)};
  for (int64_t i = 0; args.nan_lambdas != nullptr && i < args.rows * bank.count; ++i) {
    if (__builtin_isnan(args.lambda[i])) ++*args.nan_lambdas;
  }
  for (int64_t first = 0; first < args.rows;) {
    int64_t rows = 0;
    while (rows < block && first + rows < args.rows && AnyOn(args, first + rows)) ++rows;
    if (rows > 0) {
      status = LoraRun(args, first, rows, u, scratch, linear);
      if (status.code != Code::kOk) return status;
    }
    first += rows < block ? rows + 1 : rows;  // the row that ended the run is off
  }
  return status;
}

}  // namespace
}  // namespace penstock::kernels
