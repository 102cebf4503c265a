#include "kernels/channel_gate/channel_gate.h"

#include <limits>

namespace penstock::kernels {
namespace {

constexpr ChannelGateImpl kImpls[] = {
    {"avx512", Isa::kAvx512, CpuHasAvx512, ChannelGateAvx512},
    {"avx2", Isa::kAvx2, CpuHasAvx2, ChannelGateAvx2},
    {"reference", Isa::kReference, AlwaysSupported, ChannelGateReference},
};

}  // namespace

Cost ChannelGateCost(int64_t rows, int64_t channels) {
  const double n = static_cast<double>(rows) * static_cast<double>(channels);
  return {n, 8 * n + 4 * static_cast<double>(rows)};
}

Status CheckChannelGate(const ChannelGateArgs& args) {
  if (args.rows < 0 || args.channels < 0) {
    return {Code::kInvalidArgument, "channel_gate: negative size"};
  }
  if (args.block < 1) return {Code::kInvalidArgument, "channel_gate: block must be at least 1"};
  if (args.channels > std::numeric_limits<int32_t>::max()) {
    return {Code::kUnsupported, "channel_gate: more than 2^31 - 1 channels"};
  }
  if (args.rows == 0) return {};
  if (args.count == nullptr ||
      (args.channels > 0 && (args.logits == nullptr || args.index == nullptr))) {
    return {Code::kInvalidArgument, "channel_gate: null operand"};
  }
  return {};
}

std::span<const ChannelGateImpl> ChannelGateImpls() { return kImpls; }

Status ChannelGate(const ChannelGateArgs& args) { return ForOp(ChannelGateImpls()).run(args); }

}  // namespace penstock::kernels
