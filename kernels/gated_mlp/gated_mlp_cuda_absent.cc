#include "kernels/gated_mlp/gated_mlp.h"

namespace penstock::kernels {

Status GatedMlpCuda(const GatedMlpArgs&) {
  return {Code::kUnsupported, "gated_mlp: built without CUDA"};
}

}  // namespace penstock::kernels
