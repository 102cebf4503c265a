#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace penstock::router {

struct MedianHeadsOptions {
  size_t blocks = 7;  // odd, in [3, 101]
  double l2 = 0.01;   // of each block's fit, on its mean loss
};

// Logistic heads that no principal's feedback moves far: principals are dealt into blocks by their
// names, each block is fitted by itself, and every weight is the median over the blocks. Whatever
// one principal reports, and however much, it changes one block, so a weight stays between its
// neighbours in order. Median of means, Lerasle and Oliveira 2011, arXiv:1112.3914.
struct MedianHeads {
  size_t dimension = 0;
  std::vector<float> weight, bias;              // [heads, dimension], [heads]
  std::vector<float> weight_reach, bias_reach;  // most that one principal moves each

  double Logit(size_t head, absl::Span<const float> z) const;
  // Most that one principal moves the logit at z, either way.
  double Reach(size_t head, absl::Span<const float> z) const;
};

// x [rows, dimension], labels [heads, rows] in [0, 1], NaN = unknown, principals [rows].
// INVALID_ARGUMENT: a block to which no principal falls; sizes that do not fit together.
absl::StatusOr<MedianHeads> FitMedianHeads(absl::Span<const float> x, size_t dimension,
                                           absl::Span<const float> labels, size_t heads,
                                           absl::Span<const std::string> principals,
                                           const MedianHeadsOptions& options);

// The block of a principal: no other one's matter.
size_t BlockOf(absl::string_view principal, size_t blocks);

}  // namespace penstock::router
