#include "kernels/block_pool/block_pool.h"

// block_pool_rows.h is written in terms of what comes before it.
// clang-format off
#include "kernels/device/simd_avx2.h"
#include "kernels/block_pool/block_pool_rows.h"
// clang-format on

namespace penstock::kernels {

Status BlockPoolAvx2(const BlockPoolArgs& args) { return BlockPoolRows(args, LinearAvx2); }

}  // namespace penstock::kernels
