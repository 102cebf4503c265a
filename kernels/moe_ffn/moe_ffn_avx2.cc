#include "kernels/device/simd_avx2.h"
#include "kernels/device/simd_exp.h"
#include "kernels/gated_mlp/glu.h"
#include "kernels/moe_ffn/moe_ffn.h"
#include "kernels/moe_ffn/moe_ffn_experts.h"

namespace penstock::kernels {

Status MoeFfnAvx2(const MoeFfnArgs& args) {
  return MoeFfnExperts(args, {LinearAvx2, Glu}, CombineAvx2);
}

}  // namespace penstock::kernels
