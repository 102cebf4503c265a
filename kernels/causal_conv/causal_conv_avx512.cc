#include "kernels/causal_conv/causal_conv.h"

// causal_conv_steps.h is written in terms of what comes before it.
// clang-format off
#include "kernels/device/simd_avx512.h"
#include "kernels/device/simd_exp.h"
#include "kernels/causal_conv/causal_conv_steps.h"
// clang-format on

namespace penstock::kernels {

Status CausalConvAvx512(const CausalConvArgs& args) { return CausalConvSequences(args); }

}  // namespace penstock::kernels
