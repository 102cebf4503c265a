#include "kernels/channel_linear/channel_linear.h"

#include <limits>

namespace penstock::kernels {
namespace {

constexpr ChannelLinearImpl kImpls[] = {
    {"avx512", Isa::kAvx512, CpuHasAvx512, ChannelLinearAvx512},
    {"avx2", Isa::kAvx2, CpuHasAvx2, ChannelLinearAvx2},
    {"reference", Isa::kReference, AlwaysSupported, ChannelLinearReference},
};

// Ascending and inside the channels.
bool Lists(const ChannelLists& lists, int64_t rows, int64_t channels) {
  if (lists.index == nullptr) return true;
  for (int64_t t = 0; t < rows; ++t) {
    if (lists.count[t] < 0 || lists.count[t] > channels) return false;
    int64_t least = 0;
    for (int64_t i = 0; i < lists.count[t]; ++i) {
      const int64_t channel = lists.index[t * channels + i];
      if (channel < least || channel >= channels) return false;
      least = channel + 1;
    }
  }
  return true;
}

}  // namespace

size_t ChannelLinearWorkspaceBytes(int64_t in) {
  const int64_t blocks = (in + kChannelLanes - 1) / kChannelLanes;
  return kWorkspaceAlign + WorkspaceFloats(blocks * kChannelLanes) + WorkspaceFloats(blocks);
}

Cost ChannelLinearCost(int64_t inputs, int64_t outputs) {
  const double k = static_cast<double>(inputs), n = static_cast<double>(outputs);
  return {2 * k * n, 4 * (k * n + k + n)};
}

Status CheckChannelLinear(const ChannelLinearArgs& args) {
  if (args.rows < 0 || args.in < 0 || args.out < 0) {
    return {Code::kInvalidArgument, "channel_linear: negative size"};
  }
  if (args.in > std::numeric_limits<int32_t>::max() ||
      args.out > std::numeric_limits<int32_t>::max()) {
    return {Code::kUnsupported, "channel_linear: more than 2^31 - 1 channels"};
  }
  if (args.rows == 0 || args.out == 0) return {};
  if (args.y == nullptr || (args.in > 0 && (args.x == nullptr || args.w == nullptr)) ||
      (args.inputs.index != nullptr && args.inputs.count == nullptr) ||
      (args.outputs.index != nullptr && args.outputs.count == nullptr)) {
    return {Code::kInvalidArgument, "channel_linear: null operand"};
  }
  if (!Lists(args.inputs, args.rows, args.in) || !Lists(args.outputs, args.rows, args.out)) {
    return {Code::kInvalidArgument,
            "channel_linear: channels must ascend within 0 .. channels - 1"};
  }
  if (args.workspace.data == nullptr ||
      args.workspace.bytes < ChannelLinearWorkspaceBytes(args.in)) {
    return {Code::kInvalidArgument, "channel_linear: workspace too small"};
  }
  return {};
}

std::span<const ChannelLinearImpl> ChannelLinearImpls() { return kImpls; }

Status ChannelLinear(const ChannelLinearArgs& args) {
  return ForOp(ChannelLinearImpls()).run(args);
}

}  // namespace penstock::kernels
