#include "kernels/channel_gate/channel_gate.h"

// channel_gate_rows.h is written in terms of what comes before it.
// clang-format off
#include "kernels/device/simd_avx2.h"
#include "kernels/channel_gate/channel_gate_rows.h"
// clang-format on

namespace penstock::kernels {

Status ChannelGateAvx2(const ChannelGateArgs& args) { return ChannelGateRows(args); }

}  // namespace penstock::kernels
