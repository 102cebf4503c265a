#include "kernels/combine/combine.h"

// combine_rows.h is written in terms of what comes before it.
// clang-format off
#include "kernels/device/simd_avx512.h"
#include "kernels/combine/combine_rows.h"
// clang-format on

namespace penstock::kernels {

Status CombineAvx512(const CombineArgs& args) { return CombineRows(args); }

}  // namespace penstock::kernels
