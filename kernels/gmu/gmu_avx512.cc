#include "kernels/device/simd_avx512.h"
#include "kernels/device/simd_exp.h"
#include "kernels/gmu/gmu.h"
#include "kernels/gmu/gmu_rows.h"

namespace penstock::kernels {

Status GmuAvx512(const GmuArgs& args) { return GmuRows(args, LinearAvx512); }

}  // namespace penstock::kernels
