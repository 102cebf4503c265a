#include "kernels/device/simd_avx512.h"
#include "kernels/device/simd_exp.h"
#include "kernels/gated_mlp/glu.h"
#include "kernels/moe_ffn/moe_ffn.h"
#include "kernels/moe_ffn/moe_ffn_experts.h"

namespace penstock::kernels {

Status MoeFfnAvx512(const MoeFfnArgs& args) {
  return MoeFfnExperts(args, {LinearAvx512, Glu}, CombineAvx512);
}

}  // namespace penstock::kernels
