#include "kernels/block_gate/block_gate.h"

// block_gate_rows.h is written in terms of what comes before it.
// clang-format off
#include "kernels/device/simd_avx512.h"
#include "kernels/device/simd_exp.h"
#include "kernels/block_gate/block_gate_rows.h"
// clang-format on

namespace penstock::kernels {

Status BlockGateAvx512(const BlockGateArgs& args) { return BlockGateRows(args); }

}  // namespace penstock::kernels
