#include <numeric>
#include <vector>

#include "kernels/channel_linear/channel_linear.h"

namespace penstock::kernels {
namespace {

std::vector<int32_t> Listed(const ChannelLists& lists, int64_t row, int64_t channels) {
  if (lists.index != nullptr) {
    const int32_t* first = lists.index + row * channels;
    return {first, first + lists.count[row]};
  }
  std::vector<int32_t> all(static_cast<size_t>(channels));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

}  // namespace

// Allocates, unlike the entries that serve.
Status ChannelLinearReference(const ChannelLinearArgs& args) {
  const Status status = CheckChannelLinear(args);
  if (!status.ok() || args.out == 0) return status;
  for (int64_t t = 0; t < args.rows; ++t) {
    const std::vector<int32_t> inputs = Listed(args.inputs, t, args.in);
    for (int64_t c = 0; c < args.out; ++c) args.y[t * args.out + c] = 0;
    for (int32_t c : Listed(args.outputs, t, args.out)) {
      double sum = args.bias != nullptr ? static_cast<double>(args.bias[c]) : 0;
      for (int32_t k : inputs) {
        sum += static_cast<double>(args.w[c * args.in + k]) *
               static_cast<double>(args.x[t * args.in + k]);
      }
      args.y[t * args.out + c] = static_cast<float>(sum);
    }
  }
  return status;
}

}  // namespace penstock::kernels
