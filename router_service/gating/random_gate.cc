#include "router_service/gating/random_gate.h"

#include <limits>

#include "absl/container/inlined_vector.h"
#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"

namespace penstock::router {

absl::StatusOr<std::unique_ptr<const Gate>> RandomGate::Create(const config::v1::RandomGate& config,
                                                               size_t experts) {
  const uint32_t k = config.has_k() ? config.k() : 1;
  if (k < 1 || k > experts) {
    return absl::InvalidArgumentError(
        absl::StrCat("random.k is ", k, ", but the pool has ", experts, " experts"));
  }
  return absl::WrapUnique<const Gate>(new RandomGate(experts, k));
}

void RandomGate::Score(absl::Span<const float> z, absl::Span<const uint8_t> admissible,
                       CounterRandom& random, absl::Span<float> logits) const {
  absl::InlinedVector<size_t, 64> order;
  for (size_t i = 0; i < experts_; ++i) {
    logits[i] = -std::numeric_limits<float>::infinity();
    if (admissible.empty() || admissible[i]) order.push_back(i);
  }
  // Fisher-Yates from the front: place r holds a uniform draw of those that are left.
  for (size_t rank = 0; rank < order.size(); ++rank) {
    std::swap(order[rank], order[rank + random.Below(order.size() - rank)]);
    logits[order[rank]] = rank < k_ ? 0.0f : -32.0f * static_cast<float>(rank - k_ + 1);
  }
}

void RandomGate::ScoreRows(int64_t rows, absl::Span<const float> z,
                           absl::Span<const uint8_t> admissible, CounterRandom& random,
                           absl::Span<float> logits) const {
  for (int64_t row = 0; row < rows; ++row) {
    Score({}, admissible, random, logits.subspan(static_cast<size_t>(row) * experts_, experts_));
  }
}

}  // namespace penstock::router
