#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace penstock::router {

// Linear regression y ~ theta z with a ridge of 1, one observation at a time: V = I + sum z z',
// theta = V^-1 sum z y. Held as the Cholesky factor of V, updated by rotations, so V stays positive
// definite whatever comes. With forgetting each observation counts `forget` times less at the next
// one; the ridge does not fade. Not thread-safe.
class RidgeEstimate {
 public:
  // forget in (0, 1].
  RidgeEstimate(size_t dimension, double forget);

  // z and y are finite.
  void Observe(absl::Span<const double> z, double y);

  double Mean(absl::Span<const double> z) const;
  // sqrt(z' V^-1 z): the deviation of Mean where y has a deviation of 1.
  double Deviation(absl::Span<const double> z) const;

  uint64_t observed() const { return observed_; }
  // Lower triangle L of V = L L', [dimension, dimension].
  absl::Span<const double> factor() const { return factor_; }

 private:
  // V += x x'; `x` is overwritten. Entries before `first` are 0.
  void Rotate(std::vector<double>& x, size_t first);
  void RestoreRidge();
  void Solve();

  const size_t dimension_;
  const double forget_;
  size_t restored_each_ = 0;  // directions whose ridge is restored with an observation
  std::vector<double> factor_;
  std::vector<double> moment_;  // sum z y
  std::vector<double> theta_;
  std::vector<uint64_t> restored_at_;  // by direction
  size_t next_restored_ = 0;
  uint64_t observed_ = 0;
  std::vector<double> scratch_;
};

}  // namespace penstock::router
