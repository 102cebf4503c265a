#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/device/cost.h"
#include "kernels/device/isa.h"
#include "kernels/device/status.h"

namespace penstock::kernels {

enum class RouteScore : uint8_t {
  kSoftmax,       // p_e = exp(L_e - max L) / sum_j exp(L_j - max L)
  kSigmoid,       // p_e = 1 / (1 + exp(-L_e))
  kSqrtSoftplus,  // p_e = sqrt(max(L_e, 0) + log(1 + exp(-|L_e|)))
};

inline constexpr int32_t kUnusedSlot = -1;
inline constexpr int64_t kMaxExperts = 4096;  // a row's scores live on the stack

// Top-k gate. Per row: NaN logits become -inf and +inf the largest finite float; -inf and masked
// experts are absent (neither selectable nor part of the softmax). Selected are the k largest
// p_e + bias_e (softmax without bias: the k largest logits), equal values by lower id. Weights are
// scale * p_e, with `renorm` scale * p_e / sum over the selected (DeepSeek-V3 technical report,
// arXiv:2412.19437, equations 13 to 16); where that sum is below 1e-12, scale / number selected.
// A softmax over the selected logits alone is kSoftmax with `renorm`.
// With `groups` above 1 only experts of the `groups_kept` best groups can be selected: a group is
// experts / groups consecutive experts, its rank the sum of p_e + bias_e over its `group_top` best,
// largest first, or over as many as are selectable; of one best (softmax without bias), its logit.
// Equal ranks by lower group.
// Scores are float32 by definition, with one recipe for exp and log and one order of the sums, so
// all CPU implementations agree bit for bit.
// Fewer than k selectable: the rest is kUnusedSlot with weight 0. None: a degenerate row.
struct RouteTopKArgs {
  int64_t rows = 0;
  int64_t experts = 0;
  int64_t k = 0;  // 1 .. experts
  RouteScore score = RouteScore::kSoftmax;
  bool renorm = true;
  float scale = 1.0f;
  const float* logits = nullptr;       // [rows, experts]
  const float* bias = nullptr;         // [experts], or null; NaN makes its expert unselectable
  const uint8_t* available = nullptr;  // [experts], 0 = masked; or null
  int32_t* ids = nullptr;              // out [rows, k], best first
  float* weights = nullptr;            // out [rows, k]
  int64_t* degenerate_rows = nullptr;  // added to; or null
  int64_t groups = 1;                  // divides experts
  int64_t groups_kept = 1;             // 1 .. groups; with groups above 1 it divides k
  // 0: 2 with bias (DeepSeek-V3), 1 without (DeepSeek-V2). Megatron's form is k / groups_kept.
  int64_t group_top = 0;
  float* scores = nullptr;  // out [rows, experts]: p, 0 where absent; or null
};

struct RouteTopKImpl {
  std::string_view name;
  Isa isa;
  bool (*supported)();
  Status (*run)(const RouteTopKArgs&);
};

std::span<const RouteTopKImpl> RouteTopKImpls();
Status RouteTopK(const RouteTopKArgs& args);
Cost RouteTopKCost(int64_t rows, int64_t experts, int64_t k);
Status CheckRouteTopK(const RouteTopKArgs& args);

// always_inline: SIMD files call it.
[[gnu::always_inline]] inline int64_t GroupTop(const RouteTopKArgs& args) {
  return args.group_top != 0 ? args.group_top : args.bias != nullptr ? 2 : 1;
}

Status RouteTopKReference(const RouteTopKArgs& args);
Status RouteTopKAvx2(const RouteTopKArgs& args);
Status RouteTopKAvx512(const RouteTopKArgs& args);
Status RouteTopKCuda(const RouteTopKArgs& args);

}  // namespace penstock::kernels
