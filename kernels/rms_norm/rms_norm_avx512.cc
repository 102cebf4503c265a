#include "kernels/device/simd_avx512.h"
#include "kernels/rms_norm/rms_norm.h"
#include "kernels/rms_norm/rms_norm_rows.h"

namespace penstock::kernels {

Status RmsNormAvx512(const RmsNormArgs& args) { return RmsNormRows(args); }

}  // namespace penstock::kernels
