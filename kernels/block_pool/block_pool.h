#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "kernels/device/cost.h"
#include "kernels/device/isa.h"
#include "kernels/device/status.h"
#include "kernels/device/workspace.h"
#include "kernels/linear/linear.h"

namespace penstock::kernels {

// What stands for the positions of a block, element by element; any set of them, in this order.
inline constexpr uint8_t kPoolMax = 1;
inline constexpr uint8_t kPoolMin = 2;
inline constexpr uint8_t kPoolMean = 4;

[[gnu::always_inline]] constexpr int64_t PoolCount(uint8_t pools) {
  return (pools & 1) + (pools >> 1 & 1) + (pools >> 2 & 1);
}

// View.
struct BlockPoolWeights {
  const LinearWeights* project = nullptr;  // [gate_heads], each [dim, group * pools * head_dim]
  int64_t gate_heads = 0;
  int64_t group = 1;  // heads that one gate head reads, one after the other
  int64_t head_dim = 0;
  int64_t block = 64;  // positions
  uint8_t pools = kPoolMax | kPoolMin | kPoolMean;
  float rope_base = 10000;  // 0: no rotation

  [[gnu::always_inline]] int64_t inputs() const { return group * PoolCount(pools) * head_dim; }
};

class PackedBlockPool {
 public:
  PackedBlockPool() = default;
  // project [gate_heads, dim, group * pools * head_dim]; the sizes are those of `shape`. Copies it.
  PackedBlockPool(const float* project, int64_t dim, const BlockPoolWeights& shape);

  BlockPoolWeights weights() const;
  size_t bytes() const;

 private:
  std::vector<PackedLinear> project_;
  std::vector<LinearWeights> views_;
  BlockPoolWeights shape_;
};

// What block_gate compares (SeerAttention, arXiv:2410.13276): blocks of queries or keys, pooled
// over their positions, projected to `dim` and rotated (arXiv:2104.09864, element i with element i
// + dim/2). For block j of a sequence and gate head
//   y_j = rotate(W [pools of head 1 | pools of head 2 | ...], rope_first + j rope_step).
// Keys: group 1. Queries of a prefill: group = query heads a key head. The query of a decoding
// step: likewise with block 1 and one pool. The last block may be partial. NaN stays in its block
// and gate head. Blocks before first_block or beyond the length are neither read nor written: a
// cache is extended by the blocks that it lacks.
struct BlockPoolArgs {
  BlockPoolWeights w;
  int64_t sequences = 0;
  int64_t most_blocks = 0;
  const float* x = nullptr;  // [sequences, gate_heads * group, most_blocks * block, head_dim], or
  int64_t sequence_stride = 0;  // floats from one to the next of these; 0: as above
  int64_t head_stride = 0;
  int64_t position_stride = 0;
  const int32_t* length = nullptr;       // [sequences], positions, 0 .. most_blocks * block
  const int32_t* first_block = nullptr;  // [sequences]; null: 0
  const int64_t* rope_first = nullptr;   // [sequences]; null: 0
  int64_t rope_step = 1;
  float* y = nullptr;  // out [sequences, gate_heads, most_blocks, dim]; must not overlap x
  Workspace workspace;
};

struct BlockPoolImpl {
  std::string_view name;
  Isa isa;
  bool (*supported)();
  Status (*run)(const BlockPoolArgs&);
};

std::span<const BlockPoolImpl> BlockPoolImpls();
Status BlockPool(const BlockPoolArgs& args);
size_t BlockPoolWorkspaceBytes(const BlockPoolWeights& w);
Cost BlockPoolCost(const BlockPoolWeights& w, int64_t blocks);
Status CheckBlockPool(const BlockPoolArgs& args);

// Scratch that a gate head's product needs.
size_t BlockPoolLinearBytes(const BlockPoolWeights& w);

// Blocks whose projections share one product: its weights cost little per block.
inline constexpr int64_t kPoolRows = 48;

[[gnu::always_inline]] constexpr int64_t BlocksOf(int64_t length, int64_t block) {
  return (length + block - 1) / block;
}

Status BlockPoolReference(const BlockPoolArgs& args);
Status BlockPoolAvx2(const BlockPoolArgs& args);
Status BlockPoolAvx512(const BlockPoolArgs& args);

}  // namespace penstock::kernels
