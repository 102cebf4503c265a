#include "kernels/route_plan/route_plan.h"

namespace penstock::kernels {

Status RoutePlanCuda(const RoutePlanArgs&) {
  return {Code::kUnsupported, "route_plan: built without CUDA"};
}

}  // namespace penstock::kernels
