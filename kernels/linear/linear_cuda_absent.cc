#include "kernels/linear/linear.h"

namespace penstock::kernels {

Status LinearCuda(const LinearArgs&) { return {Code::kUnsupported, "linear: built without CUDA"}; }

}  // namespace penstock::kernels
