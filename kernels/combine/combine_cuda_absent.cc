#include "kernels/combine/combine.h"

namespace penstock::kernels {

Status CombineCuda(const CombineArgs&) {
  return {Code::kUnsupported, "combine: built without CUDA"};
}

}  // namespace penstock::kernels
