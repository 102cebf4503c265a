#include "kernels/device/simd_avx512.h"
#include "kernels/device/simd_exp.h"
#include "kernels/gated_attention/attention_rows.h"
#include "kernels/gated_attention/gated_attention.h"
#include "kernels/softmax/softmax_rows.h"

namespace penstock::kernels {

Status GatedAttentionAvx512(const GatedAttentionArgs& args) {
  return AttentionRows(args, LinearAvx512, RmsNormAvx512);
}

}  // namespace penstock::kernels
