#include "kernels/gated_attention/gated_attention.h"

namespace penstock::kernels {

Status GatedAttentionCuda(const GatedAttentionArgs&) {
  return {Code::kUnsupported, "gated_attention: built without CUDA"};
}

}  // namespace penstock::kernels
