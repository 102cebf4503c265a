#include "kernels/device/simd_avx512.h"
#include "kernels/device/simd_exp.h"
#include "kernels/linear_attention/linear_attention.h"
#include "kernels/linear_attention/linear_attention_blocks.h"

namespace penstock::kernels {

Status LinearAttentionAvx512(const LinearAttentionArgs& args) {
  return LinearAttentionBlocks(args);
}

}  // namespace penstock::kernels
