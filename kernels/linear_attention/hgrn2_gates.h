#pragma once

#include <cstdint>

#include "kernels/device/status.h"

namespace penstock::kernels {

// The gates of HGRN2 (arXiv:2404.07904) as linear_attention takes them: per channel, with
//   f = lower_bound + (1 - lower_bound) sigmoid(z),
// g = log f, the log of the decay, and k = 1 - f, the key; the layer's value is its input and its
// query silu(x Wq). Computed in double, one value at a time, so that nothing cancels where f is
// near 1 or 0: k = (1 - lower_bound) sigmoid(-z), which is -expm1(g); g = log1p(-k) down to f =
// 1/2, and below it the log of a sum of exponentials, log lower_bound and log((1 - lower_bound)
// sigmoid(z)).
struct Hgrn2GatesArgs {
  int64_t tokens = 0;
  int64_t channels = 0;                // of all heads
  const float* z = nullptr;            // [tokens, channels]
  const float* lower_bound = nullptr;  // [channels], each in [0, 1]; null: 0, as in the first layer
  float* g = nullptr;                  // [tokens, channels]; may be z
  float* k = nullptr;                  // [tokens, channels]
};

Status Hgrn2Gates(const Hgrn2GatesArgs& args);

}  // namespace penstock::kernels
