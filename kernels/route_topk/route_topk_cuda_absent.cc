#include "kernels/route_topk/route_topk.h"

namespace penstock::kernels {

Status RouteTopKCuda(const RouteTopKArgs&) {
  return {Code::kUnsupported, "route_topk: built without CUDA"};
}

}  // namespace penstock::kernels
