#pragma once

// For SIMD files, after simd_exp.h.

#include <cstdint>

#include "kernels/block_gate/block_gate.h"
#include "kernels/softmax/softmax_rows.h"

namespace penstock::kernels {
namespace {

[[gnu::always_inline]] inline float GateDot(const float* a, const float* b, int64_t n) {
  const Simd::V zero = Simd::Zero();
  Simd::V sum = zero;
  int64_t i = 0;
  for (; i + Simd::kLanes <= n; i += Simd::kLanes) {
    sum = Simd::Fma(Simd::Load(a + i), Simd::Load(b + i), sum);
  }
  if (i < n) {
    sum = Simd::Fma(Simd::LoadPart(a + i, n - i, zero), Simd::LoadPart(b + i, n - i, zero), sum);
  }
  return Simd::ReduceAdd(sum);
}

// Products with the first `keyed` keys; false where one is not finite.
bool GateLogits(const float* q, const float* keys, int64_t dim, int64_t keyed, float* logits) {
  const float scale = 1.0f / __builtin_sqrtf(static_cast<float>(dim > 0 ? dim : 1));
  bool finite = true;
  for (int64_t j = 0; j < keyed; ++j) {
    logits[j] = GateDot(q, keys + j * dim, dim) * scale;
    if (!(__builtin_fabsf(logits[j]) <= __FLT_MAX__)) finite = false;
  }
  return finite;
}

// keep[j] = 1 where softmax(logits)_j > threshold. Overwrites logits.
void KeepAbove(float threshold, int64_t keyed, float* logits, int32_t* keep) {
  const float sum = ExpRow(logits, logits, keyed, 1.0f);
  for (int64_t j = 0; j < keyed; ++j) {
    if (logits[j] / sum > threshold) keep[j] = 1;
  }
}

// A number of the order of z, which is no NaN. A sum that starts at 0 is -0 only where it
// underflows.
[[gnu::always_inline]] inline uint32_t Rank(float z) {
  uint32_t bits;
  __builtin_memcpy(&bits, &z, sizeof bits);
  return (bits >> 31) != 0 ? ~bits : bits | 0x80000000u;
}

// Keeps the `wanted` largest, at least 1, of those that are not kept yet. The last rank to be kept
// is found a byte at a time: four passes, however many are wanted.
void KeepLargest(int64_t wanted, int64_t keyed, const float* logits, int32_t* keep) {
  uint32_t last = 0, known = 0;
  for (int shift = 24; shift >= 0; shift -= 8) {
    int32_t counts[256] = {};
    for (int64_t j = 0; j < keyed; ++j) {
      const uint32_t rank = Rank(logits[j]);
      if (keep[j] == 0 && (rank & known) == last) ++counts[rank >> shift & 255];
    }
    uint32_t digit = 255;
    for (; digit > 0 && counts[digit] < wanted; --digit) wanted -= counts[digit];
    last |= digit << shift;
    known |= 255u << shift;
  }
  for (int64_t j = 0; j < keyed; ++j) {
    const uint32_t rank = Rank(logits[j]);
    if (keep[j] != 0 || rank < last || (rank == last && wanted == 0)) continue;
    keep[j] = 1;
    if (rank == last) --wanted;
  }
}

// What query i of a row keeps; `i` counts all rows' queries.
void GateQuery(const BlockGateArgs& args, int64_t i, float* logits, int32_t* keep) {
  const int64_t blocks = args.blocks[i];
  const int64_t keyed = args.keyed != nullptr ? args.keyed[i] : blocks;
  const bool finite =
      keyed == 0 ||
      GateLogits(args.q + i * args.dim, args.keys + i / args.queries * args.most_blocks * args.dim,
                 args.dim, keyed, logits);
  if (!finite && args.not_finite != nullptr) ++*args.not_finite;
  const bool all = !finite || (args.budget > 0 && args.budget >= blocks);
  int64_t kept = 0;
  for (int64_t j = 0; j < blocks; ++j) {
    keep[j] = all || j >= keyed || j == blocks - 1 || (j == 0 && args.keep_first) ? 1 : 0;
    kept += keep[j];
  }
  if (kept < blocks && args.budget == 0) KeepAbove(args.threshold, keyed, logits, keep);
  if (kept < blocks && args.budget > kept) KeepLargest(args.budget - kept, keyed, logits, keep);
  int32_t* index = args.index + i * args.most_blocks;
  int32_t count = 0;
  for (int64_t j = 0; j < blocks; ++j) {
    if (keep[j] != 0) index[count++] = static_cast<int32_t>(j);
  }
  for (int64_t j = count; j < args.most_blocks; ++j) index[j] = kNoBlock;
  args.count[i] = count;
}

Status BlockGateRows(const BlockGateArgs& args) {
  const Status status = CheckBlockGate(args);
  if (status.code != Code::kOk || args.rows * args.queries == 0) return status;
  char* at = WorkspaceStart(args.workspace);
  float* logits = TakeFloats(&at, args.most_blocks);
  int32_t* keep = reinterpret_cast<int32_t*>(TakeFloats(&at, args.most_blocks));
  for (int64_t i = 0; i < args.rows * args.queries; ++i) GateQuery(args, i, logits, keep);
  return status;
}

}  // namespace
}  // namespace penstock::kernels
