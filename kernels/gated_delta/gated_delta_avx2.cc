#include "kernels/device/simd_avx2.h"
#include "kernels/device/simd_exp.h"
#include "kernels/gated_delta/gated_delta.h"
#include "kernels/gated_delta/gated_delta_blocks.h"

namespace penstock::kernels {

Status GatedDeltaAvx2(const GatedDeltaArgs& args) { return GatedDeltaBlocks(args); }

}  // namespace penstock::kernels
