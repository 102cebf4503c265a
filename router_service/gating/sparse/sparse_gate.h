#pragma once

#include <cstddef>

#include "absl/types/span.h"
#include "router_service/gating/gate.h"

namespace penstock::router {

// What the gates that leave most experts without weight have in common: an expert without weight
// has logit -infinity, as an inadmissible one has, so that it never fills a slot that is left over.
// Where no admissible expert has a finite score, or a score is NaN or +infinity, nobody is
// preferred: all admissible experts have logit 0.
class SparseGate : public Gate {
 public:
  size_t experts() const final { return experts_; }
  size_t dimension() const final { return dimension_; }
  size_t k() const final { return k_; }
  void Score(absl::Span<const float> z, absl::Span<const uint8_t> admissible, CounterRandom& random,
             absl::Span<float> logits) const final;
  void ScoreRows(int64_t rows, absl::Span<const float> z, absl::Span<const uint8_t> admissible,
                 CounterRandom& random, absl::Span<float> logits) const final;

 protected:
  SparseGate(size_t experts, size_t dimension, size_t k)
      : experts_(experts), dimension_(dimension), k_(k) {}

  // Whether the mask lets an expert answer.
  static bool Admits(absl::Span<const uint8_t> admissible, size_t expert) {
    return admissible.empty() || admissible[expert] != 0;
  }

 private:
  // Logits of the experts that have weight; scores [experts] hold -infinity before. At least one
  // expert is admissible; what is written for the others does not count.
  virtual void Fill(absl::Span<const float> z, absl::Span<const uint8_t> admissible,
                    absl::Span<double> scores) const = 0;

  const size_t experts_;
  const size_t dimension_;
  const size_t k_;
};

}  // namespace penstock::router
