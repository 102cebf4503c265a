#include <algorithm>
#include <cmath>

#include "kernels/channel_gate/channel_gate.h"

namespace penstock::kernels {

Status ChannelGateReference(const ChannelGateArgs& args) {
  const Status status = CheckChannelGate(args);
  if (!status.ok()) return status;
  const int64_t channels = args.channels;
  for (int64_t t = 0; t < args.rows; ++t) {
    const float* logits = args.logits + t * channels;
    int32_t* index = args.index + t * channels;
    const auto kept = [](float z) { return std::isnan(z) || z > 0; };
    const bool empty = std::none_of(logits, logits + channels, kept);
    const int64_t largest = std::max_element(logits, logits + channels) - logits;
    int32_t count = 0;
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t first = c / args.block * args.block;
      const int64_t last = std::min(first + args.block, channels);
      const bool in = empty ? first <= largest && largest < last
                            : std::any_of(logits + first, logits + last, kept);
      if (in) index[count++] = static_cast<int32_t>(c);
    }
    std::fill(index + count, index + channels, kNoChannel);
    args.count[t] = count;
  }
  return status;
}

}  // namespace penstock::kernels
