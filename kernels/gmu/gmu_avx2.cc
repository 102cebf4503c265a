#include "kernels/device/simd_avx2.h"
#include "kernels/device/simd_exp.h"
#include "kernels/gmu/gmu.h"
#include "kernels/gmu/gmu_rows.h"

namespace penstock::kernels {

Status GmuAvx2(const GmuArgs& args) { return GmuRows(args, LinearAvx2); }

}  // namespace penstock::kernels
