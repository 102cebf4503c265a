#include "kernels/softmax/softmax.h"

namespace penstock::kernels {

Status SoftmaxCuda(const SoftmaxArgs&) {
  return {Code::kUnsupported, "softmax: built without CUDA"};
}

}  // namespace penstock::kernels
