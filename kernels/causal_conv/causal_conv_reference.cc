#include <cmath>
#include <vector>

#include "kernels/causal_conv/causal_conv.h"

namespace penstock::kernels {
namespace {

// All that one channel of one sequence ever saw: the state, or zeros, then the steps.
std::vector<float> Seen(const CausalConvArgs& args, int64_t sequence, int64_t c) {
  const int64_t channels = args.w.channels, kept = args.w.width - 1;
  const int64_t stride = args.x_stride != 0 ? args.x_stride : channels;
  std::vector<float> seen;
  for (int64_t i = 0; i < kept; ++i) {
    seen.push_back(args.state != nullptr ? args.state[(sequence * kept + i) * channels + c] : 0);
  }
  for (int64_t t = 0; t < args.steps; ++t) {
    seen.push_back(args.x[(sequence * args.steps + t) * stride + c]);
  }
  return seen;
}

}  // namespace

// Allocates, unlike the entries that serve.
Status CausalConvReference(const CausalConvArgs& args) {
  const Status status = CheckCausalConv(args);
  if (!status.ok() || args.steps == 0) return status;
  const CausalConvWeights& w = args.w;
  const int64_t kept = w.width - 1;
  const int64_t stride = args.y_stride != 0 ? args.y_stride : w.channels;
  for (int64_t sequence = 0; sequence < args.sequences; ++sequence) {
    for (int64_t c = 0; c < w.channels; ++c) {
      const std::vector<float> seen = Seen(args, sequence, c);
      for (int64_t t = 0; t < args.steps; ++t) {
        double z = w.bias != nullptr ? static_cast<double>(w.bias[c]) : 0;
        for (int64_t i = 0; i < w.width; ++i) {
          z += static_cast<double>(w.taps[i * w.channels + c]) *
               static_cast<double>(seen[static_cast<size_t>(t + i)]);
        }
        args.y[(sequence * args.steps + t) * stride + c] =
            static_cast<float>(args.silu ? z / (1 + std::exp(-z)) : z);
      }
      for (int64_t i = 0; args.state != nullptr && i < kept; ++i) {
        args.state[(sequence * kept + i) * w.channels + c] =
            seen[static_cast<size_t>(args.steps + i)];
      }
    }
  }
  return status;
}

}  // namespace penstock::kernels
