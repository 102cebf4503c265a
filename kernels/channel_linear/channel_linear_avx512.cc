#include "kernels/channel_linear/channel_linear.h"

// channel_linear_rows.h is written in terms of what comes before it.
// clang-format off
#include "kernels/device/simd_avx512.h"
#include "kernels/channel_linear/channel_linear_rows.h"
// clang-format on

namespace penstock::kernels {

Status ChannelLinearAvx512(const ChannelLinearArgs& args) { return ChannelLinearRows(args); }

}  // namespace penstock::kernels
