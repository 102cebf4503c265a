#include "kernels/device/simd_avx512.h"
#include "kernels/device/simd_exp.h"
#include "kernels/route_topk/route_topk.h"
#include "kernels/route_topk/route_topk_rows.h"

namespace penstock::kernels {

Status RouteTopKAvx512(const RouteTopKArgs& args) { return RouteTopKRows(args); }

}  // namespace penstock::kernels
