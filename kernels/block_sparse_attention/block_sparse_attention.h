#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/device/cost.h"
#include "kernels/device/isa.h"
#include "kernels/device/status.h"
#include "kernels/device/workspace.h"

namespace penstock::kernels {

// Attention to listed blocks of a key cache (SeerAttention, arXiv:2410.13276): for the query at
// position t of a sequence and its head h,
//   y = sum over p of softmax(q . k_p / sqrt(head_dim))_p v_p
// over the positions p <= t of the blocks that stand in the list of key head h / (heads / kv_heads)
// for t: a list is shared by a key head's query heads and by query_block queries. The last block
// may be partial. A query without a position, or beyond the length, gives 0. Positions are summed
// one after the other: all blocks listed is bit for bit attention without a list. A block that is
// not listed, or that lies after the query, is not read: its NaN reaches nothing. Decoding: one
// query, the last position. Prefill: query_block = block.
struct BlockSparseAttentionArgs {
  int64_t sequences = 0;
  int64_t queries = 1;  // of a sequence
  int64_t heads = 0;
  int64_t kv_heads = 0;  // divides heads
  int64_t head_dim = 0;
  int64_t block = 64;       // positions
  int64_t query_block = 1;  // queries that share a list
  int64_t most_blocks = 0;
  const float* q = nullptr;         // [sequences, queries, heads, head_dim]
  const float* k = nullptr;         // [sequences, kv_heads, most_blocks * block, head_dim]
  const float* v = nullptr;         // likewise
  const int32_t* length = nullptr;  // [sequences], positions, 0 .. most_blocks * block
  const int32_t* first = nullptr;   // [sequences], position of query 0; null: length - queries
  // [sequences, kv_heads, lists, most_blocks], lists = ceil(queries / query_block), from
  // block_gate: each ascends within the blocks of the length. null: all blocks.
  const int32_t* index = nullptr;
  const int32_t* count = nullptr;  // [sequences, kv_heads, lists]
  float* y = nullptr;              // out [sequences, queries, heads, head_dim]; overlaps no operand
  Workspace workspace;
};

struct BlockSparseAttentionImpl {
  std::string_view name;
  Isa isa;
  bool (*supported)();
  Status (*run)(const BlockSparseAttentionArgs&);
};

std::span<const BlockSparseAttentionImpl> BlockSparseAttentionImpls();
Status BlockSparseAttention(const BlockSparseAttentionArgs& args);
size_t BlockSparseAttentionWorkspaceBytes(int64_t most_blocks, int64_t block);
// Of a sequence whose lists name so many positions each, all before its queries.
Cost BlockSparseAttentionCost(int64_t positions, int64_t queries, int64_t query_block,
                              int64_t heads, int64_t kv_heads, int64_t head_dim);
Status CheckBlockSparseAttention(const BlockSparseAttentionArgs& args);

// Queries times heads of one list that pass over its blocks together.
inline constexpr int64_t kAttendRows = 8;

// Floats from one row of scores to the next.
[[gnu::always_inline]] constexpr int64_t AttendScores(int64_t most_blocks, int64_t block) {
  return (most_blocks * block + 15) / 16 * 16;
}

Status BlockSparseAttentionReference(const BlockSparseAttentionArgs& args);
Status BlockSparseAttentionAvx2(const BlockSparseAttentionArgs& args);
Status BlockSparseAttentionAvx512(const BlockSparseAttentionArgs& args);

}  // namespace penstock::kernels
