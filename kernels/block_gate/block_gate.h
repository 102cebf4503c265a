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

inline constexpr int32_t kNoBlock = -1;

// Which blocks of a key cache a query attends to (SeerAttention, arXiv:2410.13276). With
// s = softmax(q . k_j / sqrt(dim)) over the blocks j that the query sees, it keeps those with
// s_j > threshold or, where `budget` is above 0, the `budget` largest, equal ones by lower block;
// all where it sees no more than `budget`. Always kept: the last block seen, which is the one being
// written or the query's own; the first, where `keep_first`; blocks without a key yet. They count
// towards the budget and may exceed it. A query with a product that is not finite keeps every block
// and is counted: a broken gate costs time, not results.
//
// A row is a sequence and key head, q and keys its outputs of block_pool. Decoding: one query a
// row, which sees all blocks. Prefill: one query a block of positions, and query i sees blocks 0 to
// i.
struct BlockGateArgs {
  int64_t rows = 0;
  int64_t queries = 1;  // of a row; they share its keys
  int64_t dim = 0;
  int64_t most_blocks = 0;
  const float* q = nullptr;         // [rows, queries, dim]
  const float* keys = nullptr;      // [rows, most_blocks, dim]
  const int32_t* blocks = nullptr;  // [rows, queries], blocks seen, 0 .. most_blocks
  const int32_t* keyed = nullptr;   // [rows, queries], of these with a key, the first; null: all
  float threshold = 0;
  int64_t budget = 0;  // blocks
  bool keep_first = true;
  int32_t* index = nullptr;  // out [rows, queries, most_blocks]: the kept, ascending, then kNoBlock
  int32_t* count = nullptr;  // out [rows, queries]
  int64_t* not_finite = nullptr;  // added to: queries whose gate is broken; or null
  Workspace workspace;
};

struct BlockGateImpl {
  std::string_view name;
  Isa isa;
  bool (*supported)();
  Status (*run)(const BlockGateArgs&);
};

std::span<const BlockGateImpl> BlockGateImpls();
Status BlockGate(const BlockGateArgs& args);
size_t BlockGateWorkspaceBytes(int64_t most_blocks);
// `blocks`: seen by one query.
Cost BlockGateCost(int64_t rows, int64_t queries, int64_t blocks, int64_t dim);
Status CheckBlockGate(const BlockGateArgs& args);

Status BlockGateReference(const BlockGateArgs& args);
Status BlockGateAvx2(const BlockGateArgs& args);
Status BlockGateAvx512(const BlockGateArgs& args);

}  // namespace penstock::kernels
