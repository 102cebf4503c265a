#include "router_service/gating/top_k.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "kernels/route_topk/route_topk.h"

namespace penstock::router {
namespace {

constexpr char kNoFeasibleExpert[] = "penstock/no-feasible-expert";

bool Admissible(absl::Span<const uint8_t> admissible, size_t expert) {
  return admissible.empty() || admissible[expert] != 0;
}

}  // namespace

absl::Status NoFeasibleExpertError(absl::string_view detail) {
  absl::Status status = absl::FailedPreconditionError(absl::StrCat("no feasible expert: ", detail));
  status.SetPayload(kNoFeasibleExpert, absl::Cord());
  return status;
}

bool IsNoFeasibleExpert(const absl::Status& status) {
  return status.GetPayload(kNoFeasibleExpert).has_value();
}

absl::StatusOr<TopKChoice> ChooseTopK(absl::Span<const float> logits,
                                      absl::Span<const uint8_t> admissible, size_t k) {
  TopKChoice choice;
  auto& chosen = choice.experts;  // .weight holds the logit until the softmax
  for (size_t i = 0; i < logits.size(); ++i) {
    if (!Admissible(admissible, i)) continue;
    if (!std::isfinite(logits[i])) {
      choice.non_finite |= !(logits[i] < 0);
      continue;
    }
    if (chosen.size() == k && (k == 0 || !(logits[i] > chosen.back().weight))) continue;
    if (chosen.size() == k) chosen.pop_back();
    // Behind equals, so ties keep the lower index in front.
    auto at = chosen.end();
    while (at != chosen.begin() && logits[i] > (at - 1)->weight) --at;
    chosen.insert(at, {static_cast<uint32_t>(i), logits[i]});
  }
  if (chosen.empty()) {
    return NoFeasibleExpertError(choice.non_finite ? "no logit is finite"
                                                   : "every expert is excluded");
  }
  const float largest = chosen.front().weight;
  float sum = 0;
  for (WeightedExpert& expert : chosen) {
    expert.weight = std::exp(expert.weight - largest);
    sum += expert.weight;
  }
  for (WeightedExpert& expert : chosen) expert.weight /= sum;
  return choice;
}

bool GateMass(absl::Span<const float> logits, absl::Span<const uint8_t> admissible,
              absl::Span<float> mass) {
  float largest = -std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < logits.size(); ++i) {
    if (Admissible(admissible, i) && std::isfinite(logits[i]))
      largest = std::max(largest, logits[i]);
  }
  float sum = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    const bool counts = Admissible(admissible, i) && std::isfinite(logits[i]);
    mass[i] = counts ? std::exp(logits[i] - largest) : 0.0f;
    sum += mass[i];
  }
  if (!(sum > 0)) return false;
  for (float& value : mass) value /= sum;
  return true;
}

absl::StatusOr<RowChoiceStatistics> ChooseTopKRows(int64_t rows, int64_t experts,
                                                   absl::Span<float> logits,
                                                   absl::Span<const uint8_t> admissible, int64_t k,
                                                   absl::Span<int32_t> ids,
                                                   absl::Span<float> weights) {
  RowChoiceStatistics statistics;
  for (int64_t row = 0; row < rows; ++row) {
    bool clean = true;
    for (int64_t i = 0; i < experts; ++i) {
      float& logit = logits[static_cast<size_t>(row * experts + i)];
      if (std::isfinite(logit)) continue;
      clean = clean && (logit < 0 || !Admissible(admissible, static_cast<size_t>(i)));
      logit = -std::numeric_limits<float>::infinity();
    }
    statistics.non_finite_rows += !clean;
  }
  kernels::RouteTopKArgs args;
  args.rows = rows;
  args.experts = experts;
  args.k = k;
  args.logits = logits.data();
  args.available = admissible.empty() ? nullptr : admissible.data();
  args.ids = ids.data();
  args.weights = weights.data();
  args.degenerate_rows = &statistics.rows_without_expert;
  const kernels::Status status = kernels::RouteTopK(args);
  if (!status.ok()) return absl::InvalidArgumentError(absl::StrCat("route_topk: ", status.message));
  return statistics;
}

}  // namespace penstock::router
