#include "kernels/device/simd_avx2.h"
#include "kernels/device/simd_exp.h"
#include "kernels/prefix_ffn/prefix_ffn.h"
#include "kernels/prefix_ffn/prefix_ffn_rows.h"

namespace penstock::kernels {

Status PrefixFfnAvx2(const PrefixFfnArgs& args) { return PrefixFfnRows(args, LinearAvx2); }

}  // namespace penstock::kernels
