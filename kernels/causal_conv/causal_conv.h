#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "kernels/device/cost.h"
#include "kernels/device/isa.h"
#include "kernels/device/status.h"

namespace penstock::kernels {

inline constexpr int64_t kMostConvWidth = 16;

// View. Tap i of the width meets the input of width - 1 - i steps ago: the last one the step
// itself.
struct CausalConvWeights {
  const float* taps = nullptr;  // [width, channels]: neighbours are channels, as in x
  const float* bias = nullptr;  // [channels], or null
  int64_t channels = 0;
  int64_t width = 1;  // 1 .. kMostConvWidth
};

class PackedCausalConv {
 public:
  PackedCausalConv() = default;
  // weight [channels, width]; bias [channels] or null. Copies both.
  PackedCausalConv(const float* weight, const float* bias, int64_t channels, int64_t width);

  CausalConvWeights weights() const;
  size_t bytes() const { return (taps_.size() + bias_.size()) * sizeof(float); }

 private:
  std::vector<float> taps_;
  std::vector<float> bias_;
  int64_t channels_ = 0;
  int64_t width_ = 1;
};

// Causal depthwise convolution over the steps of each sequence, before linear attention, the gated
// delta rule and state-space models: per channel c
//   y_t = silu(bias_c + sum over i of taps[i, c] x_{t - (width - 1) + i}),  silu(z) = z / (1 +
//   exp(-z)),
// the sum without silu where `silu` is false. Steps before the first are those in `state`, oldest
// first, or zeros where it is null; afterwards it holds the last width - 1 of all steps, so that a
// sequence cut anywhere gives the same bits as a whole one. A step's sum runs over i = 0, 1, ... in
// one chain. A channel's NaN reaches its next width steps. y must not overlap x or the state.
struct CausalConvArgs {
  CausalConvWeights w;
  int64_t sequences = 0;
  int64_t steps = 0;
  const float* x = nullptr;  // [sequences, steps, channels]
  int64_t x_stride = 0;      // floats from step to step; 0: channels
  bool silu = false;
  float* state = nullptr;  // [sequences, width - 1, channels], in and out; or null
  float* y = nullptr;      // out [sequences, steps, channels]
  int64_t y_stride = 0;    // likewise
};

struct CausalConvImpl {
  std::string_view name;
  Isa isa;
  bool (*supported)();
  Status (*run)(const CausalConvArgs&);
};

std::span<const CausalConvImpl> CausalConvImpls();
Status CausalConv(const CausalConvArgs& args);
// Needs no workspace. `state`: whether one is read and written.
Cost CausalConvCost(int64_t sequences, int64_t steps, int64_t channels, int64_t width, bool silu,
                    bool state);
Status CheckCausalConv(const CausalConvArgs& args);

Status CausalConvReference(const CausalConvArgs& args);
Status CausalConvAvx2(const CausalConvArgs& args);
Status CausalConvAvx512(const CausalConvArgs& args);

}  // namespace penstock::kernels
