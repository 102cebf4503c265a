#pragma once

// For SIMD files, after simd_exp.h.

#include <cstdint>

#include "kernels/block_sparse_attention/block_sparse_attention.h"
#include "kernels/device/unroll.h"
#include "kernels/softmax/softmax_rows.h"

namespace penstock::kernels {
namespace {

// Listed blocks of one key head of a cache.
struct ListedBlocks {
  const float* k;
  const float* v;
  const int32_t* index;  // null: 0, 1, ...
  int64_t listed;
  int64_t block;
  int64_t dim;

  [[gnu::always_inline]] int64_t Start(int64_t i) const {
    return (index != nullptr ? index[i] : i) * block;
  }
};

// Rows of keys or values that are wanted soon: those of the next listed block, while one is read.
// No two listed blocks need be neighbours, so the hardware cannot know.
struct Ahead {
  const float* rows;
  int64_t count;
};

// A head of a query.
struct AttendRow {
  const float* q;
  float* y;
  float* scores;  // of the listed positions, one after the other
  int64_t bound;  // positions before it
};

// Positions of a block that starts at `start` before `bound`, at least 0.
[[gnu::always_inline]] inline int64_t Before(int64_t start, int64_t block, int64_t bound) {
  const int64_t left = bound - start;
  return left < 0 ? 0 : left < block ? left : block;
}

// Products of kRows queries with kKeys keys: independent chains hide the latency of a multiply-add
// and share loads. A product's sum does not depend on what stands beside it.
template <int kKeys, int kRows>
[[gnu::always_inline]] inline void Score(const AttendRow* rows, const float* k, int64_t dim,
                                         int64_t at) {
  const Simd::V zero = Simd::Zero();
  Simd::V sums[kRows][kKeys];
  PENSTOCK_UNROLL
  for (int r = 0; r < kRows; ++r) {
    PENSTOCK_UNROLL
    for (int j = 0; j < kKeys; ++j) sums[r][j] = zero;
  }
  for (int64_t c = 0; c < dim; c += Simd::kLanes) {
    const int64_t n = dim - c;
    const bool whole = n >= Simd::kLanes;
    Simd::V keys[kKeys];
    PENSTOCK_UNROLL
    for (int j = 0; j < kKeys; ++j) {
      const float* key = k + j * dim + c;
      keys[j] = whole ? Simd::Load(key) : Simd::LoadPart(key, n, zero);
    }
    PENSTOCK_UNROLL
    for (int r = 0; r < kRows; ++r) {
      const float* at_q = rows[r].q + c;
      const Simd::V q = whole ? Simd::Load(at_q) : Simd::LoadPart(at_q, n, zero);
      PENSTOCK_UNROLL
      for (int j = 0; j < kKeys; ++j) sums[r][j] = Simd::Fma(q, keys[j], sums[r][j]);
    }
  }
  PENSTOCK_UNROLL
  for (int r = 0; r < kRows; ++r) {
    PENSTOCK_UNROLL
    for (int j = 0; j < kKeys; ++j) rows[r].scores[at + j] = Simd::ReduceAdd(sums[r][j]);
  }
}

template <int kKeys>
[[gnu::always_inline]] inline void ScoreRows(const AttendRow* rows, int64_t count, const float* k,
                                             int64_t dim, int64_t at) {
  constexpr int kTile = Simd::kLanes / 4;  // 16 sums in 32 registers, 8 in 16
  int64_t r = 0;
  for (; r + kTile <= count; r += kTile) Score<kKeys, kTile>(rows + r, k, dim, at);
  for (; r < count; ++r) Score<kKeys, 1>(rows + r, k, dim, at);
}

[[gnu::always_inline]] inline Ahead NextBlock(const ListedBlocks& blocks, int64_t i, int64_t bound,
                                              const float* cache) {
  if (i + 1 >= blocks.listed) return {nullptr, 0};
  const int64_t start = blocks.Start(i + 1);
  return {cache + start * blocks.dim, Before(start, blocks.block, bound)};
}

// The lines of row p from column c on; to the second cache, since a block may fill the first.
[[gnu::always_inline]] inline void Prefetch(const Ahead& ahead, int64_t p, int64_t dim, int64_t c,
                                            int64_t columns) {
  constexpr int64_t kLine = 16;
  if (p >= ahead.count) return;
  const float* row = ahead.rows + p * dim;
  for (int64_t i = c; i < c + columns && i < dim; i += kLine) __builtin_prefetch(row + i, 0, 2);
}

// Scores of the listed positions before `bound`, the largest of the rows.
void ScoreBlocks(const ListedBlocks& blocks, const AttendRow* rows, int64_t count, int64_t bound) {
  int64_t at = 0;
  for (int64_t i = 0; i < blocks.listed; ++i) {
    const int64_t start = blocks.Start(i), size = Before(start, blocks.block, bound);
    const float* k = blocks.k + start * blocks.dim;
    const Ahead ahead = NextBlock(blocks, i, bound, blocks.k);
    int64_t p = 0;
    for (; p + 4 <= size; p += 4) {
      for (int64_t j = 0; j < 4; ++j) Prefetch(ahead, p + j, blocks.dim, 0, blocks.dim);
      ScoreRows<4>(rows, count, k + p * blocks.dim, blocks.dim, at + p);
    }
    for (; p < size; ++p) ScoreRows<1>(rows, count, k + p * blocks.dim, blocks.dim, at + p);
    at += size;
  }
}

// y += weights v for kRows rows over positions first .. last - 1 of a block, whose weights start
// at `at`; kVecs registers of columns from c on, the last one perhaps partial.
template <int kRows, int kVecs>
[[gnu::always_inline]] inline void AddColumns(const AttendRow* rows, const float* v, int64_t dim,
                                              int64_t first, int64_t last, int64_t at, int64_t c,
                                              const Ahead& ahead) {
  const Simd::V zero = Simd::Zero();
  const int64_t rest = dim - c - (kVecs - 1) * Simd::kLanes;
  const bool whole = rest >= Simd::kLanes;
  Simd::V sums[kRows][kVecs];
  PENSTOCK_UNROLL
  for (int r = 0; r < kRows; ++r) {
    PENSTOCK_UNROLL
    for (int i = 0; i < kVecs; ++i) {
      const float* y = rows[r].y + c + i * Simd::kLanes;
      sums[r][i] = i < kVecs - 1 || whole ? Simd::Load(y) : Simd::LoadPart(y, rest, zero);
    }
  }
  for (int64_t p = first; p < last; ++p) {
    Prefetch(ahead, p, dim, c, kVecs * Simd::kLanes);
    Simd::V values[kVecs];
    PENSTOCK_UNROLL
    for (int i = 0; i < kVecs; ++i) {
      const float* value = v + p * dim + c + i * Simd::kLanes;
      values[i] = i < kVecs - 1 || whole ? Simd::Load(value) : Simd::LoadPart(value, rest, zero);
    }
    PENSTOCK_UNROLL
    for (int r = 0; r < kRows; ++r) {
      const Simd::V weight = Simd::Set(rows[r].scores[at + p]);
      PENSTOCK_UNROLL
      for (int i = 0; i < kVecs; ++i) sums[r][i] = Simd::Fma(weight, values[i], sums[r][i]);
    }
  }
  PENSTOCK_UNROLL
  for (int r = 0; r < kRows; ++r) {
    PENSTOCK_UNROLL
    for (int i = 0; i < kVecs; ++i) {
      float* y = rows[r].y + c + i * Simd::kLanes;
      if (i < kVecs - 1 || whole) {
        Simd::Store(y, sums[r][i]);
      } else {
        Simd::StorePart(y, rest, sums[r][i]);
      }
    }
  }
}

template <int kRows>
[[gnu::always_inline]] inline void AddValues(const AttendRow* rows, const float* v, int64_t dim,
                                             int64_t first, int64_t last, int64_t at,
                                             const Ahead& ahead) {
  if (first >= last) return;
  constexpr int kVecs = kRows == 1 ? 4 : Simd::kLanes / 4;
  int64_t c = 0;
  for (; dim - c > (kVecs - 1) * Simd::kLanes; c += kVecs * Simd::kLanes) {
    AddColumns<kRows, kVecs>(rows, v, dim, first, last, at, c, ahead);
  }
  for (; c < dim; c += Simd::kLanes) AddColumns<kRows, 1>(rows, v, dim, first, last, at, c, ahead);
}

// Adds the values of the listed positions that each row sees. Rows walk together as far as all of
// them see, then each to its own bound.
void SumBlocks(const ListedBlocks& blocks, const AttendRow* rows, int64_t count, int64_t bound) {
  constexpr int kTile = 4;
  int64_t at = 0;
  for (int64_t i = 0; i < blocks.listed; ++i) {
    const int64_t start = blocks.Start(i);
    const float* v = blocks.v + start * blocks.dim;
    Ahead ahead = NextBlock(blocks, i, bound, blocks.v);
    int64_t r = 0;
    for (; r + kTile <= count; r += kTile) {
      int64_t common = rows[r].bound;
      for (int j = 1; j < kTile; ++j) {
        if (rows[r + j].bound < common) common = rows[r + j].bound;
      }
      common = Before(start, blocks.block, common);
      AddValues<kTile>(rows + r, v, blocks.dim, 0, common, at, ahead);
      ahead.count = 0;  // once is enough
      for (int j = 0; j < kTile; ++j) {
        const int64_t seen = Before(start, blocks.block, rows[r + j].bound);
        AddValues<1>(rows + r + j, v, blocks.dim, common, seen, at, ahead);
      }
    }
    for (; r < count; ++r) {
      AddValues<1>(rows + r, v, blocks.dim, 0, Before(start, blocks.block, rows[r].bound), at,
                   ahead);
      ahead.count = 0;
    }
    at += Before(start, blocks.block, bound);
  }
}

[[gnu::always_inline]] inline void DivideRow(float* y, int64_t dim, float divisor) {
  const Simd::V d = Simd::Set(divisor);
  int64_t c = 0;
  for (; c + Simd::kLanes <= dim; c += Simd::kLanes) {
    Simd::Store(y + c, Simd::Div(Simd::Load(y + c), d));
  }
  if (c < dim) {
    Simd::StorePart(y + c, dim - c, Simd::Div(Simd::LoadPart(y + c, dim - c, Simd::Zero()), d));
  }
}

// Rows of one list.
void AttendBlocks(const ListedBlocks& blocks, const AttendRow* rows, int64_t count) {
  const float scale = 1.0f / __builtin_sqrtf(static_cast<float>(blocks.dim));
  int64_t bound = 0;
  for (int64_t r = 0; r < count; ++r) bound = rows[r].bound > bound ? rows[r].bound : bound;
  ScoreBlocks(blocks, rows, count, bound);
  float sums[kAttendRows];
  for (int64_t r = 0; r < count; ++r) {
    // The list ascends: what a row sees stands at the start of its scores.
    int64_t seen = 0;
    for (int64_t i = 0; i < blocks.listed; ++i) {
      seen += Before(blocks.Start(i), blocks.block, rows[r].bound);
    }
    sums[r] = seen > 0 ? ExpRow(rows[r].scores, rows[r].scores, seen, scale) : 1.0f;
    for (int64_t c = 0; c < blocks.dim; ++c) rows[r].y[c] = 0;
  }
  SumBlocks(blocks, rows, count, bound);
  for (int64_t r = 0; r < count; ++r) DivideRow(rows[r].y, blocks.dim, sums[r]);
}

// The queries first .. last - 1 of a sequence and the heads of one key head: one list.
void AttendList(const BlockSparseAttentionArgs& args, int64_t s, int64_t kv_head, int64_t first,
                int64_t last, float* scores) {
  const int64_t d = args.head_dim, group = args.heads / args.kv_heads, length = args.length[s];
  const int64_t lists = (args.queries + args.query_block - 1) / args.query_block;
  const int64_t cache = (s * args.kv_heads + kv_head) * args.most_blocks * args.block * d;
  const int64_t list = (s * args.kv_heads + kv_head) * lists + first / args.query_block;
  const bool all = args.index == nullptr;
  const ListedBlocks blocks = {args.most_blocks > 0 ? args.k + cache : nullptr,
                               args.most_blocks > 0 ? args.v + cache : nullptr,
                               all ? nullptr : args.index + list * args.most_blocks,
                               all ? (length + args.block - 1) / args.block : args.count[list],
                               args.block,
                               d};
  const int64_t start = args.first != nullptr ? args.first[s] : length - args.queries;
  AttendRow rows[kAttendRows];
  int64_t count = 0;
  for (int64_t i = first * group; i < last * group; ++i) {
    const int64_t query = i / group, position = start + query;
    const int64_t head =
        ((s * args.queries + query) * args.heads + kv_head * group + i % group) * d;
    const bool placed = position >= 0 && position < length;
    rows[count] = {args.q + head, args.y + head,
                   scores + count * AttendScores(args.most_blocks, args.block),
                   placed ? position + 1 : 0};
    if (++count < kAttendRows && i + 1 < last * group) continue;
    AttendBlocks(blocks, rows, count);
    count = 0;
  }
}

Status BlockSparseAttentionRows(const BlockSparseAttentionArgs& args) {
  const Status status = CheckBlockSparseAttention(args);
  if (status.code != Code::kOk || args.sequences * args.queries * args.heads * args.head_dim == 0) {
    return status;
  }
  char* at = WorkspaceStart(args.workspace);
  float* scores = TakeFloats(&at, kAttendRows * AttendScores(args.most_blocks, args.block));
  for (int64_t s = 0; s < args.sequences; ++s) {
    for (int64_t g = 0; g < args.kv_heads; ++g) {
      for (int64_t first = 0; first < args.queries; first += args.query_block) {
        const int64_t left = args.queries - first;
        AttendList(args, s, g, first, first + (left < args.query_block ? left : args.query_block),
                   scores);
      }
    }
  }
  return status;
}

}  // namespace
}  // namespace penstock::kernels
