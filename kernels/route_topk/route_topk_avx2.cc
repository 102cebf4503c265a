#include "kernels/device/simd_avx2.h"
#include "kernels/device/simd_exp.h"
#include "kernels/route_topk/route_topk.h"
#include "kernels/route_topk/route_topk_rows.h"

namespace penstock::kernels {

Status RouteTopKAvx2(const RouteTopKArgs& args) { return RouteTopKRows(args); }

}  // namespace penstock::kernels
