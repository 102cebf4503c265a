#include "kernels/device/simd_avx512.h"
#include "kernels/device/simd_exp.h"
#include "kernels/softmax/softmax.h"
#include "kernels/softmax/softmax_rows.h"

namespace penstock::kernels {

Status SoftmaxAvx512(const SoftmaxArgs& args) { return SoftmaxRows(args); }

}  // namespace penstock::kernels
