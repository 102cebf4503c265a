#include "kernels/block_sparse_attention/block_sparse_attention.h"

#include <limits>

namespace penstock::kernels {
namespace {

constexpr BlockSparseAttentionImpl kImpls[] = {
    {"avx512", Isa::kAvx512, CpuHasAvx512, BlockSparseAttentionAvx512},
    {"avx2", Isa::kAvx2, CpuHasAvx2, BlockSparseAttentionAvx2},
    {"reference", Isa::kReference, AlwaysSupported, BlockSparseAttentionReference},
};

bool Ascends(const int32_t* list, int32_t count, int64_t blocks) {
  if (count < 0 || count > blocks) return false;
  int64_t least = 0;
  for (int32_t i = 0; i < count; ++i) {
    if (list[i] < least || list[i] >= blocks) return false;
    least = int64_t{list[i]} + 1;
  }
  return true;
}

Status CheckSequence(const BlockSparseAttentionArgs& args, int64_t s) {
  const int64_t length = args.length[s];
  if (length < 0 || length > args.most_blocks * args.block) {
    return {Code::kInvalidArgument, "block_sparse_attention: length exceeds the blocks"};
  }
  if (args.first != nullptr && args.first[s] < 0) {
    return {Code::kInvalidArgument, "block_sparse_attention: negative first"};
  }
  if (args.index == nullptr) return {};
  const int64_t lists = (args.queries + args.query_block - 1) / args.query_block * args.kv_heads;
  for (int64_t list = s * lists; list < (s + 1) * lists; ++list) {
    if (!Ascends(args.index + list * args.most_blocks, args.count[list],
                 (length + args.block - 1) / args.block)) {
      return {Code::kInvalidArgument, "block_sparse_attention: a list must ascend in its blocks"};
    }
  }
  return {};
}

}  // namespace

size_t BlockSparseAttentionWorkspaceBytes(int64_t most_blocks, int64_t block) {
  return kWorkspaceAlign + WorkspaceFloats(kAttendRows * AttendScores(most_blocks, block));
}

// An exp counts as 8 flops.
Cost BlockSparseAttentionCost(int64_t positions, int64_t queries, int64_t query_block,
                              int64_t heads, int64_t kv_heads, int64_t head_dim) {
  const double rows = static_cast<double>(queries) * static_cast<double>(heads),
               n = static_cast<double>(positions), d = static_cast<double>(head_dim);
  const double lists = static_cast<double>((queries + query_block - 1) / query_block) *
                       static_cast<double>(kv_heads);
  return {n * rows * (4 * d + 10), 8 * d * (n * lists + rows)};
}

Status CheckBlockSparseAttention(const BlockSparseAttentionArgs& args) {
  if (args.sequences < 0 || args.queries < 0 || args.heads < 0 || args.kv_heads < 0 ||
      args.head_dim < 0 || args.most_blocks < 0) {
    return {Code::kInvalidArgument, "block_sparse_attention: negative size"};
  }
  if (args.block < 1 || args.query_block < 1) {
    return {Code::kInvalidArgument, "block_sparse_attention: a block holds at least 1"};
  }
  if (args.most_blocks > std::numeric_limits<int32_t>::max() / args.block) {
    return {Code::kUnsupported, "block_sparse_attention: more than 2^31 - 1 positions"};
  }
  if (args.sequences == 0 || args.queries == 0 || args.heads == 0 || args.head_dim == 0) return {};
  if (args.kv_heads == 0 || args.heads % args.kv_heads != 0) {
    return {Code::kInvalidArgument, "block_sparse_attention: kv_heads must divide heads"};
  }
  if (args.q == nullptr || args.y == nullptr || args.length == nullptr ||
      (args.most_blocks > 0 && (args.k == nullptr || args.v == nullptr)) ||
      (args.index != nullptr && args.count == nullptr)) {
    return {Code::kInvalidArgument, "block_sparse_attention: null operand"};
  }
  for (int64_t s = 0; s < args.sequences; ++s) {
    const Status status = CheckSequence(args, s);
    if (!status.ok()) return status;
  }
  if (args.workspace.data == nullptr ||
      args.workspace.bytes < BlockSparseAttentionWorkspaceBytes(args.most_blocks, args.block)) {
    return {Code::kInvalidArgument, "block_sparse_attention: workspace too small"};
  }
  return {};
}

std::span<const BlockSparseAttentionImpl> BlockSparseAttentionImpls() { return kImpls; }

Status BlockSparseAttention(const BlockSparseAttentionArgs& args) {
  return ForOp(BlockSparseAttentionImpls()).run(args);
}

}  // namespace penstock::kernels
