#include "kernels/device/simd_avx2.h"
#include "kernels/device/simd_exp.h"
#include "kernels/sinkhorn_assign/sinkhorn_assign.h"
#include "kernels/sinkhorn_assign/transport_rows.h"

namespace penstock::kernels {

Status SinkhornAvx2(const SinkhornArgs& args) { return SinkhornRows(args); }

}  // namespace penstock::kernels
