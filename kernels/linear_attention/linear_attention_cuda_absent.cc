#include "kernels/linear_attention/linear_attention.h"

namespace penstock::kernels {

Status LinearAttentionCuda(const LinearAttentionArgs&) {
  return {Code::kUnsupported, "linear_attention: built without CUDA"};
}

}  // namespace penstock::kernels
