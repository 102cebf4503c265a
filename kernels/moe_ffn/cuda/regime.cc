#include "kernels/moe_ffn/cuda/regime.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/moe_ffn/cuda/expert_gemv.h"
#include "kernels/moe_ffn/cuda/gemm_shape.h"

namespace penstock::kernels {
namespace {

constexpr int64_t kMostStreamPairs = 64;
constexpr MoeTiling kStream = {MoeRegime::kStream, kGemvTokens};
constexpr MoeTiling kGrouped = {MoeRegime::kGrouped, 128};
constexpr std::array<int, 4> kSwapAbTokens = {8, 16, 32, 64};

// Bytes through shared memory per multiply-add of a tile: a warp reads its rows and its tokens for
// each other, and the copies write both once.
template <int kTokens>
constexpr double SharedBytesPerProduct() {
  using Shape = ExpertGemmShape<kTokens>;
  return 2.0 *
         (Shape::kWarps * (Shape::kWarpRows + Shape::kWarpTokens) + Shape::kWeightRows + kTokens) /
         (Shape::kWeightRows * kTokens);
}

double SharedBytesPerProduct(int tokens) {
  switch (tokens) {
    case 8:
      return SharedBytesPerProduct<8>();
    case 16:
      return SharedBytesPerProduct<16>();
    case 32:
      return SharedBytesPerProduct<32>();
    case 64:
      return SharedBytesPerProduct<64>();
    default:
      return SharedBytesPerProduct<128>();
  }
}

}  // namespace

bool IsMoeTiling(const MoeTiling& tiling) {
  switch (tiling.regime) {
    case MoeRegime::kStream:
      return tiling.tokens == kStream.tokens;
    case MoeRegime::kSwapAb:
      return std::find(kSwapAbTokens.begin(), kSwapAbTokens.end(), tiling.tokens) !=
             kSwapAbTokens.end();
    case MoeRegime::kGrouped:
      return tiling.tokens == kGrouped.tokens;
  }
  return false;
}

GpuLimits SpecLimits(GpuArch arch) {
  switch (arch) {
    case GpuArch::kSm80:
      return {2.04e12, 312e12, 19.5e12, 19.5e12};
    case GpuArch::kSm90a:
      return {3.35e12, 989e12, 67e12, 33.5e12};
    case GpuArch::kSm100a:
      return {8e12, 2250e12, 75e12, 37e12};
  }
  return {};
}

double MoeSeconds(const MoeWork& work, const MoeTiling& tiling, const GpuLimits& limits) {
  if (work.pairs <= 0 || work.active <= 0) return 0;
  const auto pairs = static_cast<double>(work.pairs), active = static_cast<double>(work.active);
  const auto d = static_cast<double>(work.d), f = static_cast<double>(work.f),
             o = static_cast<double>(work.o), tokens = static_cast<double>(tiling.tokens);
  const double rows = std::ceil(pairs / active), tiles = active * std::ceil(rows / tokens);
  const double weights = f * (2 * d + o);
  // Inputs and h in bfloat16, h written and read; outputs in float32, written and read.
  const double bytes = active * 2 * weights + pairs * (2 * d + 4 * f + 8 * o);
  const double memory = bytes / limits.memory_bytes;
  if (tiling.regime == MoeRegime::kStream) {
    // A float32 pipe widens each weight once a tile and each input once for four weight rows, and
    // multiplies both: instructions, of which float_flops counts a multiply-add as two.
    const double each = 1 + std::min(rows, tokens) * (1 + 1.0 / kGemvWeightRows);
    return std::max(memory, tiles * weights * each * 2 / limits.float_flops);
  }
  const double products = tiles * tokens * weights;
  return std::max({memory, products * 2 / limits.tensor_flops,
                   products * SharedBytesPerProduct(tiling.tokens) / limits.shared_bytes});
}

MoeTiling PickMoeTiling(const MoeWork& work, GpuArch arch) {
  const int64_t active = std::max<int64_t>(work.active, 1);
  if (work.pairs > 64 * active) return kGrouped;
  MoeTiling swap_ab = {MoeRegime::kSwapAb, kSwapAbTokens.back()};
  for (const int tokens : kSwapAbTokens) {
    if (2 * work.pairs <= tokens * active) {
      swap_ab.tokens = tokens;
      break;
    }
  }
  const GpuLimits limits = SpecLimits(arch);
  const bool few = work.pairs <= kGemvTokens * active && work.pairs <= kMostStreamPairs;
  return few && MoeSeconds(work, kStream, limits) <= MoeSeconds(work, swap_ab, limits) ? kStream
                                                                                       : swap_ab;
}

int64_t ExpectedActive(int64_t rows, int64_t k, int64_t experts) {
  if (rows <= 0 || k <= 0 || experts <= 0) return 0;
  const auto e = static_cast<double>(experts);
  const double missed = std::max(0.0, 1 - static_cast<double>(k) / e);
  const auto met =
      static_cast<int64_t>(std::llround(e * (1 - std::pow(missed, static_cast<double>(rows)))));
  return std::clamp<int64_t>(met, 1, std::min(experts, rows * k));
}

}  // namespace penstock::kernels
