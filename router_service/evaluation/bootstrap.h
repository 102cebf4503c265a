#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace penstock::router {

struct Interval {
  double low = 0;
  double high = 0;
};

// Resamples whole groups with replacement: rows of one group (variants of one question) say less
// than as many independent ones, and stay together. Every replicate is a function of (seed, its
// number), so two contenders that are compared see the same requests. Efron and Tibshirani 1993.
class GroupBootstrap {
 public:
  // group[row] in [0, groups), every group used.
  GroupBootstrap(absl::Span<const uint32_t> group, uint64_t seed);

  size_t rows() const { return group_.size(); }
  // How often each row counts in this replicate.
  std::vector<float> Weights(uint64_t replicate) const;

 private:
  const std::vector<uint32_t> group_;
  size_t groups_ = 0;
  const uint64_t seed_;
};

// Percentile interval of the replicates; those that are NaN are left out. NaN where fewer than two
// are left.
Interval PercentileInterval(std::vector<double> replicates, double level = 0.95);

}  // namespace penstock::router
