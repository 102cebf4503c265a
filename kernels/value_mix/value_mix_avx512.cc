#include "kernels/device/simd_avx512.h"
#include "kernels/device/simd_exp.h"
#include "kernels/value_mix/value_mix.h"
#include "kernels/value_mix/value_mix_rows.h"

namespace penstock::kernels {

Status ValueMixAvx512(const ValueMixArgs& args) { return ValueMixRows(args); }

}  // namespace penstock::kernels
