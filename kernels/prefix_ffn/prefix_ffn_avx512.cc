#include "kernels/device/simd_avx512.h"
#include "kernels/device/simd_exp.h"
#include "kernels/prefix_ffn/prefix_ffn.h"
#include "kernels/prefix_ffn/prefix_ffn_rows.h"

namespace penstock::kernels {

Status PrefixFfnAvx512(const PrefixFfnArgs& args) { return PrefixFfnRows(args, LinearAvx512); }

}  // namespace penstock::kernels
