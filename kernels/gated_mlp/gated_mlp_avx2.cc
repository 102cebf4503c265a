#include "kernels/device/simd_avx2.h"
#include "kernels/device/simd_exp.h"
#include "kernels/gated_mlp/gated_mlp.h"
#include "kernels/gated_mlp/gated_mlp_rows.h"
#include "kernels/gated_mlp/glu.h"

namespace penstock::kernels {

Status GatedMlpAvx2(const GatedMlpArgs& args) {
  return GatedMlpRows(args, LinearAvx2, RmsNormAvx2);
}

}  // namespace penstock::kernels
