#include "kernels/block_sparse_attention/block_sparse_attention.h"

// attend_blocks.h is written in terms of what comes before it.
// clang-format off
#include "kernels/device/simd_avx2.h"
#include "kernels/device/simd_exp.h"
#include "kernels/block_sparse_attention/attend_blocks.h"
// clang-format on

namespace penstock::kernels {

Status BlockSparseAttentionAvx2(const BlockSparseAttentionArgs& args) {
  return BlockSparseAttentionRows(args);
}

}  // namespace penstock::kernels
