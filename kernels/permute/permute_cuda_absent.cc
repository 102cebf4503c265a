#include "kernels/permute/permute.h"

namespace penstock::kernels {

Status PermuteCuda(const PermuteArgs&) {
  return {Code::kUnsupported, "permute: built without CUDA"};
}

}  // namespace penstock::kernels
