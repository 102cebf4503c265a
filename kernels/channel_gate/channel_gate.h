#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/device/cost.h"
#include "kernels/device/isa.h"
#include "kernels/device/status.h"

namespace penstock::kernels {

inline constexpr int32_t kNoChannel = -1;

// Which output channels a row computes (Fire Together Wire Together, arXiv:2110.08232): those whose
// logit, of a small predictor, is above 0, which is sigmoid above 1/2. A row without one keeps its
// largest, equal ones by lower channel. NaN keeps its channel: a broken predictor costs time, not
// results. With `block` above 1 a block of so many consecutive channels is kept whole where one of
// them is.
struct ChannelGateArgs {
  int64_t rows = 0;
  int64_t channels = 0;
  int64_t block = 1;
  const float* logits = nullptr;  // [rows, channels]
  int32_t* index = nullptr;       // out [rows, channels]: the kept ones, ascending, then kNoChannel
  int32_t* count = nullptr;       // out [rows]
};

struct ChannelGateImpl {
  std::string_view name;
  Isa isa;
  bool (*supported)();
  Status (*run)(const ChannelGateArgs&);
};

std::span<const ChannelGateImpl> ChannelGateImpls();
Status ChannelGate(const ChannelGateArgs& args);
Cost ChannelGateCost(int64_t rows, int64_t channels);
Status CheckChannelGate(const ChannelGateArgs& args);

Status ChannelGateReference(const ChannelGateArgs& args);
Status ChannelGateAvx2(const ChannelGateArgs& args);
Status ChannelGateAvx512(const ChannelGateArgs& args);

}  // namespace penstock::kernels
