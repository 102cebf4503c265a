#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace penstock::router {

// How far a linear gate's features may move before its choice changes. A move of z by delta changes
// h_i - h_j by (W_i - W_j) . delta, so no expert outside the k first passes one inside while
//   |delta|_2 < min over i among the k, j outside, of (h_i - h_j) / |W_i - W_j|_2.
// Logits are computed in fp32: the radius is less by the most that their rounding can make up, so
// it holds for the gate as it runs. Immutable, thread-safe.
class StabilityCertificate {
 public:
  // weight [experts, dimension], bias [experts].
  StabilityCertificate(absl::Span<const float> weight, absl::Span<const float> bias,
                       size_t dimension);

  // For the k largest logits of `admissible` experts (one byte each; empty: all), ties to the lower
  // index. 0 where nothing can be promised; +infinity where every z gives the same k.
  double Radius(absl::Span<const float> z, absl::Span<const float> logits,
                absl::Span<const uint8_t> admissible, size_t k) const;

  size_t experts() const { return norm_.size(); }

 private:
  const size_t dimension_;
  std::vector<double> norm_;      // |W_i|
  std::vector<double> bias_;      // |b_i|
  std::vector<double> distance_;  // [experts, experts]: |W_i - W_j|
};

}  // namespace penstock::router
