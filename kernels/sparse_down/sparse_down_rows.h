#pragma once

// For SIMD files, after one of simd_avx2.h and simd_avx512.h.

#include <cstdint>

#include "kernels/device/unroll.h"
#include "kernels/sparse_down/sparse_down.h"

namespace penstock::kernels {
namespace {

constexpr int64_t kMostListed = 512;
// Weights that stay in L2 while all rows pass over them: what several rows need is read once.
constexpr int64_t kChunkBytes = int64_t{256} << 10;
constexpr int kRowsAtOnce = 8;

// The activations of a chunk that count.
struct ActiveList {
  int64_t count;
  int32_t index[kMostListed];
  float value[kMostListed];
};

void ListActive(const float* h, int64_t count, float threshold, ActiveList* list) {
  const Simd::V least = Simd::Set(threshold), infinity = Simd::Set(__builtin_inff());
  const Simd::V one = Simd::Set(1.0f), zero = Simd::Zero();
  list->count = 0;
  for (int64_t j = 0; j < count; j += Simd::kLanes) {
    const int64_t n = count - j;
    const Simd::V v = n >= Simd::kLanes ? Simd::Load(h + j) : Simd::LoadPart(h + j, n, zero);
    const Simd::V size = Simd::IfNan(Simd::Abs(v), infinity);
    uint32_t bits = Simd::EqualBits(Simd::IfLess(least, size, one, zero), one);
    for (; bits != 0; bits &= bits - 1) {
      const int64_t at = j + __builtin_ctz(bits);
      list->index[list->count] = static_cast<int32_t>(at);
      list->value[list->count++] = h[at];
    }
  }
}

// y += kRows listed rows of w, one after the other in every column: the same bits for any kRows.
// Several rows at once are several streams of memory, and one load and store of y. `next`: the
// kRows that take their place. Rows are too short for the hardware to run ahead.
template <int kRows>
[[gnu::noinline]] void AddListed(const float* w, const int32_t* index, const float* value,
                                 const int32_t* next, int64_t d, float* y) {
  const float* row[kRows];
  const float* ahead[kRows];
  Simd::V scale[kRows];
  PENSTOCK_UNROLL
  for (int r = 0; r < kRows; ++r) {
    row[r] = w + index[r] * d;
    ahead[r] = w + next[r] * d;
    scale[r] = Simd::Set(value[r]);
  }
  constexpr int64_t kLine = 16;  // columns of a cache line, which is fetched once
  int64_t c = 0;
  for (; c + kLine <= d; c += kLine) {
    Simd::V sum[kLine / Simd::kLanes];
    PENSTOCK_UNROLL
    for (int v = 0; v < kLine / Simd::kLanes; ++v) sum[v] = Simd::Load(y + c + v * Simd::kLanes);
    PENSTOCK_UNROLL
    for (int r = 0; r < kRows; ++r) {
      _mm_prefetch(reinterpret_cast<const char*>(ahead[r] + c), _MM_HINT_T1);
      PENSTOCK_UNROLL
      for (int v = 0; v < kLine / Simd::kLanes; ++v) {
        sum[v] = Simd::Fma(scale[r], Simd::Load(row[r] + c + v * Simd::kLanes), sum[v]);
      }
    }
    PENSTOCK_UNROLL
    for (int v = 0; v < kLine / Simd::kLanes; ++v) Simd::Store(y + c + v * Simd::kLanes, sum[v]);
  }
  for (; c + Simd::kLanes <= d; c += Simd::kLanes) {
    Simd::V sum = Simd::Load(y + c);
    PENSTOCK_UNROLL
    for (int r = 0; r < kRows; ++r) sum = Simd::Fma(scale[r], Simd::Load(row[r] + c), sum);
    Simd::Store(y + c, sum);
  }
  if (c < d) {
    const Simd::V zero = Simd::Zero();
    Simd::V sum = Simd::LoadPart(y + c, d - c, zero);
    PENSTOCK_UNROLL
    for (int r = 0; r < kRows; ++r) {
      sum = Simd::Fma(scale[r], Simd::LoadPart(row[r] + c, d - c, zero), sum);
    }
    Simd::StorePart(y + c, d - c, sum);
  }
}

// y += the listed rows from i on: kRows at a time, then half as many.
template <int kRows>
void AddList(const float* w, const ActiveList& list, int64_t i, int64_t d, float* y) {
  for (; i + kRows <= list.count; i += kRows) {
    const int32_t* index = list.index + i;
    const bool more = i + 2 * kRows <= list.count;
    AddListed<kRows>(w, index, list.value + i, more ? index + kRows : index, d, y);
  }
  if constexpr (kRows > 1) AddList<kRows / 2>(w, list, i, d, y);
}

Status SparseDownRows(const SparseDownArgs& args) {
  const Status status = CheckSparseDown(args);
  if (status.code != Code::kOk || args.d == 0) return status;
  for (int64_t i = 0; i < args.rows * args.d; ++i) args.y[i] = 0;
  int64_t chunk = kChunkBytes / (args.d * static_cast<int64_t>(sizeof(float)));
  chunk = chunk < 16 ? 16 : chunk > kMostListed || args.rows == 1 ? kMostListed : chunk;
  ActiveList list;
  for (int64_t first = 0; first < args.f; first += chunk) {
    const int64_t count = args.f - first < chunk ? args.f - first : chunk;
    const float* w = args.w + first * args.d;
    for (int64_t t = 0; t < args.rows; ++t) {
      ListActive(args.h + t * args.f + first, count, args.threshold, &list);
      if (args.active != nullptr) *args.active += list.count;
      AddList<kRowsAtOnce>(w, list, 0, args.d, args.y + t * args.d);
    }
  }
  return status;
}

}  // namespace
}  // namespace penstock::kernels
