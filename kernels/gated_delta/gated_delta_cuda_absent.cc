#include "kernels/gated_delta/gated_delta.h"

namespace penstock::kernels {

Status GatedDeltaCuda(const GatedDeltaArgs&) {
  return {Code::kUnsupported, "gated_delta: built without CUDA"};
}

}  // namespace penstock::kernels
