#include "kernels/device/simd_avx512.h"
#include "kernels/sparse_down/sparse_down.h"
#include "kernels/sparse_down/sparse_down_rows.h"

namespace penstock::kernels {

Status SparseDownAvx512(const SparseDownArgs& args) { return SparseDownRows(args); }

}  // namespace penstock::kernels
