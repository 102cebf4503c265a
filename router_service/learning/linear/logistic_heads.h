#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "router_service/learning/linear/linear_design.h"
#include "router_service/learning/linear/minimise.h"

namespace penstock::router {

// One logistic map per head on shared features. weight [heads, dimension] and bias [heads] are for
// raw features, calibration included: p = sigma(weight z + bias).
struct LogisticHeads {
  size_t dimension = 0;
  std::vector<float> weight, bias;
  std::vector<double> mean, tau, l2;

  float Predict(size_t head, absl::Span<const float> z) const;
};

// Fits mean log loss + l2/2 |w|^2 of each head by itself, on `design`, parameters [heads, dimension
// + 1] as start and result. labels [heads, design.rows()] in [0, 1], NaN = unknown.
void FitLogistic(const LinearDesign& design, absl::Span<const float> labels, size_t heads,
                 double l2, const MinimiseOptions& options, std::vector<double>& parameters);

// Values of l2 worth trying, of the mean loss: a factor of about 3 from heavy to hardly any.
const std::vector<double>& LogisticPenalties();

struct HeadsOptions {
  std::vector<double> l2_grid;  // descending: each fit starts from the one before
  int folds = 5;
};

// Chooses each head's l2 by log loss over folds (`fold` [rows] in [0, folds)), calibrates it on the
// same folds' out-of-fold scores, then fits it on all rows. x [rows, dimension], labels [heads,
// rows]. A head without labels is a constant 1/2; one whose labels are all 0 or all 1 is a constant
// (right + 1/2) / (labels + 1).
LogisticHeads FitCalibratedHeads(absl::Span<const float> x, size_t dimension,
                                 absl::Span<const float> labels, size_t heads,
                                 absl::Span<const int> fold, const HeadsOptions& options);

}  // namespace penstock::router
