#include "kernels/block_pool/block_pool.h"

#include <algorithm>
#include <limits>

namespace penstock::kernels {
namespace {

constexpr BlockPoolImpl kImpls[] = {
    {"avx512", Isa::kAvx512, CpuHasAvx512, BlockPoolAvx512},
    {"avx2", Isa::kAvx2, CpuHasAvx2, BlockPoolAvx2},
    {"reference", Isa::kReference, AlwaysSupported, BlockPoolReference},
};

int64_t Dim(const BlockPoolWeights& w) { return w.gate_heads > 0 ? w.project[0].out : 0; }

Status CheckWeights(const BlockPoolWeights& w) {
  if (w.gate_heads < 0 || w.group < 1 || w.head_dim < 0 || w.block < 1) {
    return {Code::kInvalidArgument, "block_pool: negative size, or an empty group or block"};
  }
  if (PoolCount(w.pools) == 0 || w.pools > (kPoolMax | kPoolMin | kPoolMean)) {
    return {Code::kInvalidArgument, "block_pool: needs a pool of max, min and mean"};
  }
  if (!(w.rope_base >= 0) || w.rope_base > std::numeric_limits<float>::max()) {
    return {Code::kInvalidArgument, "block_pool: rope_base must be 0 or above, and finite"};
  }
  if (w.gate_heads == 0) return {};
  if (w.project == nullptr) return {Code::kInvalidArgument, "block_pool: null weights"};
  for (int64_t h = 0; h < w.gate_heads; ++h) {
    if (w.project[h].in != w.inputs() || w.project[h].out != Dim(w)) {
      return {Code::kInvalidArgument, "block_pool: a projection's size is not the others'"};
    }
  }
  if (w.rope_base > 0 && Dim(w) % 2 != 0) {
    return {Code::kInvalidArgument, "block_pool: a rotated dim must be even"};
  }
  return {};
}

}  // namespace

PackedBlockPool::PackedBlockPool(const float* project, int64_t dim, const BlockPoolWeights& shape)
    : shape_(shape) {
  for (int64_t h = 0; h < shape.gate_heads; ++h) {
    project_.emplace_back(project + h * dim * shape.inputs(), nullptr, shape.inputs(), dim);
    views_.push_back(project_.back().weights());
  }
}

BlockPoolWeights PackedBlockPool::weights() const {
  BlockPoolWeights w = shape_;
  w.project = views_.data();
  return w;
}

size_t PackedBlockPool::bytes() const {
  size_t bytes = 0;
  for (const PackedLinear& head : project_) bytes += head.bytes();
  return bytes;
}

size_t BlockPoolLinearBytes(const BlockPoolWeights& w) {
  size_t bytes = 0;
  for (int64_t h = 0; h < w.gate_heads; ++h) {
    bytes = std::max(bytes, LinearWorkspaceBytes(w.project[h], kPoolRows));
  }
  return bytes;
}

// Pooled rows, their products, cosines and sines, and the frequencies in float64.
size_t BlockPoolWorkspaceBytes(const BlockPoolWeights& w) {
  const int64_t dim = Dim(w);
  return kWorkspaceAlign + WorkspaceFloats(kPoolRows * w.inputs()) +
         2 * WorkspaceFloats(kPoolRows * dim) + WorkspaceFloats(dim) + BlockPoolLinearBytes(w);
}

// Pooling is an operation an element and pool, a rotation 3 an element.
Cost BlockPoolCost(const BlockPoolWeights& w, int64_t blocks) {
  const double n = static_cast<double>(blocks) * static_cast<double>(w.gate_heads),
               in = static_cast<double>(w.inputs()), dim = static_cast<double>(Dim(w));
  const double read = static_cast<double>(w.block * w.group) * static_cast<double>(w.head_dim);
  return {n * (read * static_cast<double>(PoolCount(w.pools)) + dim * (2 * in + 3)),
          4 * (n * (read + dim) + static_cast<double>(w.gate_heads) * in * dim)};
}

Status CheckBlockPool(const BlockPoolArgs& args) {
  const BlockPoolWeights& w = args.w;
  const Status status = CheckWeights(w);
  if (!status.ok()) return status;
  if (args.sequences < 0 || args.most_blocks < 0) {
    return {Code::kInvalidArgument, "block_pool: negative size"};
  }
  if (args.most_blocks > std::numeric_limits<int32_t>::max() / w.block) {
    return {Code::kUnsupported, "block_pool: more than 2^31 - 1 positions"};
  }
  if (args.sequence_stride < 0 || args.head_stride < 0 || args.position_stride < 0) {
    return {Code::kInvalidArgument, "block_pool: negative stride"};
  }
  if (args.sequences == 0 || args.most_blocks == 0 || Dim(w) == 0) return {};
  if (args.length == nullptr || args.y == nullptr || (w.inputs() > 0 && args.x == nullptr)) {
    return {Code::kInvalidArgument, "block_pool: null operand"};
  }
  for (int64_t s = 0; s < args.sequences; ++s) {
    if (args.length[s] < 0 || args.length[s] > args.most_blocks * w.block) {
      return {Code::kInvalidArgument, "block_pool: length exceeds the blocks"};
    }
    if (args.first_block != nullptr && args.first_block[s] < 0) {
      return {Code::kInvalidArgument, "block_pool: negative first_block"};
    }
  }
  if (args.workspace.data == nullptr || args.workspace.bytes < BlockPoolWorkspaceBytes(w)) {
    return {Code::kInvalidArgument, "block_pool: workspace too small"};
  }
  return {};
}

std::span<const BlockPoolImpl> BlockPoolImpls() { return kImpls; }

Status BlockPool(const BlockPoolArgs& args) { return ForOp(BlockPoolImpls()).run(args); }

}  // namespace penstock::kernels
