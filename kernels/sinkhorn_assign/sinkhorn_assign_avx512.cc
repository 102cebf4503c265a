#include "kernels/device/simd_avx512.h"
#include "kernels/device/simd_exp.h"
#include "kernels/sinkhorn_assign/sinkhorn_assign.h"
#include "kernels/sinkhorn_assign/transport_rows.h"

namespace penstock::kernels {

Status SinkhornAvx512(const SinkhornArgs& args) { return SinkhornRows(args); }

}  // namespace penstock::kernels
