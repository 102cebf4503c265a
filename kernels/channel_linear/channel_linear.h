#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/device/cost.h"
#include "kernels/device/isa.h"
#include "kernels/device/status.h"
#include "kernels/device/workspace.h"

namespace penstock::kernels {

// Channels of each row, as channel_gate lists them.
struct ChannelLists {
  const int32_t* index = nullptr;  // [rows, channels], ascending; null: every channel
  const int32_t* count = nullptr;  // [rows]
};

// y[c] = sum over listed inputs k of w[c, k] x[k] + bias[c] for listed outputs c, and 0, not the
// bias, for the others. Weights of outputs that are not listed are not read, nor are blocks of 16
// inputs of which none is listed; inputs that are not listed count as 0, whatever they hold. Sums
// run over k in 16 lanes, which are then added in halves: all channels listed is bit for bit the
// product without lists. Refuses an index outside its channels, and then writes nothing.
struct ChannelLinearArgs {
  int64_t rows = 0;
  int64_t in = 0;
  int64_t out = 0;
  const float* w = nullptr;     // [out, in]
  const float* bias = nullptr;  // [out], or null
  const float* x = nullptr;     // [rows, in]
  ChannelLists inputs;
  ChannelLists outputs;
  float* y = nullptr;  // out [rows, out]; must not overlap x
  Workspace workspace;
};

struct ChannelLinearImpl {
  std::string_view name;
  Isa isa;
  bool (*supported)();
  Status (*run)(const ChannelLinearArgs&);
};

std::span<const ChannelLinearImpl> ChannelLinearImpls();
Status ChannelLinear(const ChannelLinearArgs& args);
size_t ChannelLinearWorkspaceBytes(int64_t in);
// Of one row with so many channels listed.
Cost ChannelLinearCost(int64_t inputs, int64_t outputs);
Status CheckChannelLinear(const ChannelLinearArgs& args);

inline constexpr int64_t kChannelLanes = 16;

Status ChannelLinearReference(const ChannelLinearArgs& args);
Status ChannelLinearAvx2(const ChannelLinearArgs& args);
Status ChannelLinearAvx512(const ChannelLinearArgs& args);

}  // namespace penstock::kernels
