#pragma once

#include <cstdint>

namespace penstock::router {

// Adaptive conformal margin: the quantile of a latency is its prediction times exp(theta), and
// theta += g (1[miss] - (1 - p)), g = max(.03, .3 / sqrt(1 + n)), after every observation.
// Gibbs and Candes 2021, arXiv:2106.00170, on the logarithm. Not thread-safe.
class LatencyMargin {
 public:
  explicit LatencyMargin(double promise) : promise_(promise) {}

  void Observe(bool miss);
  double theta() const { return theta_; }
  uint64_t observations() const { return observations_; }

 private:
  double promise_;
  double theta_ = 0;
  uint64_t observations_ = 0;
};

}  // namespace penstock::router
