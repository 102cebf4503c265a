#include "kernels/device/simd_avx2.h"
#include "kernels/device/simd_exp.h"
#include "kernels/softmax/softmax.h"
#include "kernels/softmax/softmax_rows.h"

namespace penstock::kernels {

Status SoftmaxAvx2(const SoftmaxArgs& args) { return SoftmaxRows(args); }

}  // namespace penstock::kernels
