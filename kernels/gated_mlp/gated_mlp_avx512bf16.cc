#include "kernels/device/simd_avx512.h"
#include "kernels/device/simd_exp.h"
#include "kernels/gated_mlp/gated_mlp.h"
#include "kernels/gated_mlp/gated_mlp_rows.h"
#include "kernels/gated_mlp/glu.h"

namespace penstock::kernels {

Status GatedMlpAvx512Bf16(const GatedMlpArgs& args) {
  return GatedMlpRows(args, LinearAvx512Bf16, RmsNormAvx512);
}

}  // namespace penstock::kernels
