#include "kernels/causal_conv/causal_conv.h"

namespace penstock::kernels {
namespace {

constexpr CausalConvImpl kImpls[] = {
    {"avx512", Isa::kAvx512, CpuHasAvx512, CausalConvAvx512},
    {"avx2", Isa::kAvx2, CpuHasAvx2, CausalConvAvx2},
    {"reference", Isa::kReference, AlwaysSupported, CausalConvReference},
};

}  // namespace

PackedCausalConv::PackedCausalConv(const float* weight, const float* bias, int64_t channels,
                                   int64_t width)
    : taps_(static_cast<size_t>(channels * width)), channels_(channels), width_(width) {
  for (int64_t i = 0; i < width; ++i) {
    for (int64_t c = 0; c < channels; ++c) {
      taps_[static_cast<size_t>(i * channels + c)] = weight[c * width + i];
    }
  }
  if (bias != nullptr) bias_.assign(bias, bias + channels);
}

CausalConvWeights PackedCausalConv::weights() const {
  return {taps_.data(), bias_.empty() ? nullptr : bias_.data(), channels_, width_};
}

// A silu counts as 10 flops.
Cost CausalConvCost(int64_t sequences, int64_t steps, int64_t channels, int64_t width, bool silu,
                    bool state) {
  const double rows = static_cast<double>(sequences) * static_cast<double>(steps),
               c = static_cast<double>(channels), taps = static_cast<double>(width);
  const double kept = state ? 2 * static_cast<double>(sequences) * (taps - 1) : 0;
  return {rows * c * (2 * taps + (silu ? 10 : 0)), 4 * c * (taps + 2 * rows + kept)};
}

Status CheckCausalConv(const CausalConvArgs& args) {
  const CausalConvWeights& w = args.w;
  if (args.sequences < 0 || args.steps < 0 || w.channels < 0) {
    return {Code::kInvalidArgument, "causal_conv: negative size"};
  }
  if (w.width < 1 || w.width > kMostConvWidth) {
    return {Code::kInvalidArgument, "causal_conv: width must be 1 to 16"};
  }
  if ((args.x_stride != 0 && args.x_stride < w.channels) ||
      (args.y_stride != 0 && args.y_stride < w.channels)) {
    return {Code::kInvalidArgument, "causal_conv: steps overlap"};
  }
  if (args.sequences == 0 || args.steps == 0 || w.channels == 0) return {};
  if (w.taps == nullptr || args.x == nullptr || args.y == nullptr) {
    return {Code::kInvalidArgument, "causal_conv: null operand"};
  }
  return {};
}

std::span<const CausalConvImpl> CausalConvImpls() { return kImpls; }

Status CausalConv(const CausalConvArgs& args) { return ForOp(CausalConvImpls()).run(args); }

}  // namespace penstock::kernels
