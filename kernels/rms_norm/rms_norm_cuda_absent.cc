#include "kernels/rms_norm/rms_norm.h"

namespace penstock::kernels {

Status RmsNormCuda(const RmsNormArgs&) {
  return {Code::kUnsupported, "rms_norm: built without CUDA"};
}

}  // namespace penstock::kernels
