#pragma once

#include <memory>

#include "router_service/gating/gate.h"

namespace penstock::router {

// A uniformly random order of the admissible experts for each request or row: the baseline of every
// report (stochastic experts, Zuo et al., arXiv:2110.04260). The k drawn first have logit 0, so
// they weigh the same; those behind have -32, -64, ...: they count where the drawn cannot answer,
// and else for nothing (e^-32 < 2^-24).
class RandomGate final : public Gate {
 public:
  static absl::StatusOr<std::unique_ptr<const Gate>> Create(const config::v1::RandomGate& config,
                                                            size_t experts);

  size_t experts() const override { return experts_; }
  size_t dimension() const override { return 0; }
  size_t k() const override { return k_; }
  void Score(absl::Span<const float> z, absl::Span<const uint8_t> admissible, CounterRandom& random,
             absl::Span<float> logits) const override;
  void ScoreRows(int64_t rows, absl::Span<const float> z, absl::Span<const uint8_t> admissible,
                 CounterRandom& random, absl::Span<float> logits) const override;

 private:
  RandomGate(size_t experts, size_t k) : experts_(experts), k_(k) {}

  const size_t experts_;
  const size_t k_;
};

}  // namespace penstock::router
