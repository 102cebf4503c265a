#pragma once

#include <cstddef>
#include <vector>

#include "absl/types/span.h"
#include "router_service/gating/weights/gate_weights.h"

namespace penstock::router {

// Bits that number this many experts, the smallest m with 2^m >= experts. experts > 0.
size_t CodeBits(size_t experts);

struct DselectKOptions {
  size_t experts = 1;
  size_t selectors = 1;
  double width = 1;  // of the smooth step
  // Weight of the entropy of each selector over the codes, and of the inverse of its mass on those
  // that are experts'; the latter counts where 2^m is more than the experts.
  double entropy = 0;
  double reachability = 1;
};

// DSelect-k, Hazimeh et al. 2021, arXiv:2106.03760: selector s gives code i the product over its
// bits b of S(u_sb) where the bit is 1 and 1 - S(u_sb) where it is 0 (bit 0 the most significant);
// the selectors are mixed by a softmax, and the mass on codes without expert is taken out. Heads: u
// [selectors, bits], then the softmax's logits [selectors].
class DselectKWeights final : public GateWeights {
 public:
  explicit DselectKWeights(const DselectKOptions& options);

  size_t experts() const override { return options_.experts; }
  size_t heads() const override { return options_.selectors * (bits_ + 1); }
  void Forward(absl::Span<const double> heads, absl::Span<const double> scalars,
               absl::Span<double> weights) const override;
  void Backward(absl::Span<const double> heads, absl::Span<const double> scalars,
                absl::Span<const double> weight_gradient, absl::Span<double> head_gradient,
                absl::Span<double> scalar_gradient) const override;
  double Penalty(absl::Span<const double> heads, absl::Span<double> head_gradient) const override;

  size_t bits() const { return bits_; }
  // What a selector with bit scores u [bits] gives to a code.
  double CodeProbability(absl::Span<const double> u, size_t code) const;
  // Its mass on the codes of experts, in [0, 1].
  double ReachableMass(absl::Span<const double> u) const;

 private:
  double SlopeOf(absl::Span<const double> u, size_t code, size_t bit) const;
  bool Bit(size_t code, size_t bit) const { return (code >> (bits_ - 1 - bit)) & 1; }

  const DselectKOptions options_;
  const size_t bits_;
};

// Which of `codes` (not empty) a selector with bit scores u names: the largest probability, where
// all are 0 the smallest sum of |u_b| over the bits that differ, then the first.
size_t NearestCode(const DselectKWeights& weights, absl::Span<const double> u,
                   absl::Span<const size_t> codes);

}  // namespace penstock::router
