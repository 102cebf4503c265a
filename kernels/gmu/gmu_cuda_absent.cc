#include "kernels/gmu/gmu.h"

namespace penstock::kernels {

Status GmuCuda(const GmuArgs&) { return {Code::kUnsupported, "gmu: built without CUDA"}; }

}  // namespace penstock::kernels
