#include "router_service/gating/sparse/sparse_gate.h"

#include <cmath>
#include <limits>

#include "absl/container/inlined_vector.h"

namespace penstock::router {
namespace {

constexpr double kNone = -std::numeric_limits<double>::infinity();

}  // namespace

void SparseGate::Score(absl::Span<const float> z, absl::Span<const uint8_t> admissible,
                       CounterRandom& random, absl::Span<float> logits) const {
  static_cast<void>(random);
  bool anybody = false;
  for (size_t i = 0; i < experts_; ++i) {
    logits[i] = -std::numeric_limits<float>::infinity();
    anybody |= Admits(admissible, i);
  }
  if (!anybody) return;
  absl::InlinedVector<double, 64> scores(experts_, kNone);
  Fill(z, admissible, absl::MakeSpan(scores));
  bool clean = true, weighed = false;
  for (size_t i = 0; i < experts_; ++i) {
    if (!Admits(admissible, i)) continue;
    logits[i] = static_cast<float>(scores[i]);
    weighed |= std::isfinite(logits[i]);
    clean &= logits[i] < std::numeric_limits<float>::infinity();
  }
  if (clean && weighed) return;
  for (size_t i = 0; i < experts_; ++i) {
    if (Admits(admissible, i)) logits[i] = 0;
  }
}

void SparseGate::ScoreRows(int64_t rows, absl::Span<const float> z,
                           absl::Span<const uint8_t> admissible, CounterRandom& random,
                           absl::Span<float> logits) const {
  for (size_t row = 0; row < static_cast<size_t>(rows); ++row) {
    Score(z.subspan(row * dimension_, dimension_), admissible, random,
          logits.subspan(row * experts_, experts_));
  }
}

}  // namespace penstock::router
