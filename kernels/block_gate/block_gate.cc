#include "kernels/block_gate/block_gate.h"

#include <cmath>
#include <limits>

namespace penstock::kernels {
namespace {

constexpr BlockGateImpl kImpls[] = {
    {"avx512", Isa::kAvx512, CpuHasAvx512, BlockGateAvx512},
    {"avx2", Isa::kAvx2, CpuHasAvx2, BlockGateAvx2},
    {"reference", Isa::kReference, AlwaysSupported, BlockGateReference},
};

}  // namespace

// Logits and marks.
size_t BlockGateWorkspaceBytes(int64_t most_blocks) {
  return kWorkspaceAlign + 2 * WorkspaceFloats(most_blocks);
}

// An exp counts as 8 flops.
Cost BlockGateCost(int64_t rows, int64_t queries, int64_t blocks, int64_t dim) {
  const double r = static_cast<double>(rows), m = r * static_cast<double>(queries),
               n = static_cast<double>(blocks), k = static_cast<double>(dim);
  return {m * n * (2 * k + 10), 4 * (r * n * k + m * (k + n))};
}

Status CheckBlockGate(const BlockGateArgs& args) {
  if (args.rows < 0 || args.queries < 0 || args.dim < 0 || args.most_blocks < 0 ||
      args.budget < 0) {
    return {Code::kInvalidArgument, "block_gate: negative size"};
  }
  if (args.most_blocks > std::numeric_limits<int32_t>::max()) {
    return {Code::kUnsupported, "block_gate: more than 2^31 - 1 blocks"};
  }
  if (std::isnan(args.threshold)) {
    return {Code::kInvalidArgument, "block_gate: the threshold is not a number"};
  }
  const int64_t all = args.rows * args.queries;
  if (all == 0) return {};
  if (args.blocks == nullptr || args.count == nullptr ||
      (args.most_blocks > 0 && args.index == nullptr) ||
      (args.most_blocks > 0 && args.dim > 0 && (args.q == nullptr || args.keys == nullptr))) {
    return {Code::kInvalidArgument, "block_gate: null operand"};
  }
  for (int64_t i = 0; i < all; ++i) {
    if (args.blocks[i] < 0 || args.blocks[i] > args.most_blocks) {
      return {Code::kInvalidArgument, "block_gate: blocks must be in 0 .. most_blocks"};
    }
    if (args.keyed != nullptr && (args.keyed[i] < 0 || args.keyed[i] > args.blocks[i])) {
      return {Code::kInvalidArgument, "block_gate: keyed must be in 0 .. blocks"};
    }
  }
  if (args.workspace.data == nullptr ||
      args.workspace.bytes < BlockGateWorkspaceBytes(args.most_blocks)) {
    return {Code::kInvalidArgument, "block_gate: workspace too small"};
  }
  return {};
}

std::span<const BlockGateImpl> BlockGateImpls() { return kImpls; }

Status BlockGate(const BlockGateArgs& args) { return ForOp(BlockGateImpls()).run(args); }

}  // namespace penstock::kernels
