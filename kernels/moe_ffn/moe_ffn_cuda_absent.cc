#include "kernels/moe_ffn/moe_ffn.h"

namespace penstock::kernels {

Status MoeFfnCuda(const MoeFfnArgs&) { return {Code::kUnsupported, "moe_ffn: built without CUDA"}; }

}  // namespace penstock::kernels
