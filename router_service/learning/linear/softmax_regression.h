#pragma once

#include <cstddef>
#include <vector>

#include "absl/types/span.h"
#include "router_service/learning/linear/linear_design.h"
#include "router_service/learning/linear/minimise.h"

namespace penstock::router {

// Multinomial regression on soft targets: logits = weight z + bias of raw features.
struct SoftmaxFit {
  std::vector<float> weight;  // [classes, dimension]
  std::vector<float> bias;    // [classes]
  double l2 = 0;
};

// Mean cross-entropy + l2/2 |W|^2. targets [classes, rows] sum to 1 over the classes; a row whose
// targets are all 0 does not count. parameters [classes, dimension + 1] as start and result.
void FitSoftmax(const LinearDesign& design, absl::Span<const float> targets, size_t classes,
                double l2, const MinimiseOptions& options, std::vector<double>& parameters);

// l2 from the descending grid by cross-entropy over the folds, then fitted on all rows.
SoftmaxFit FitSoftmaxByFolds(absl::Span<const float> x, size_t dimension,
                             absl::Span<const float> targets, size_t classes,
                             absl::Span<const int> fold, int folds,
                             absl::Span<const double> l2_grid);

}  // namespace penstock::router
