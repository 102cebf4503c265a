#pragma once

#include <cstddef>
#include <vector>

#include "absl/types/span.h"
#include "router_service/features/sparse_rows.h"

namespace penstock::router {

// One ridge regression per output on shared sparse features, the intercept without penalty.
class Ridge {
 public:
  // targets [outputs, rows]. Conjugate gradients on the normal equations, until every residual is
  // below 1e-5 of its right side.
  static Ridge Fit(const SparseRows& x, absl::Span<const float> targets, size_t outputs,
                   double penalty);

  // -> [outputs, rows]
  std::vector<float> Predict(const SparseRows& x) const;

 private:
  size_t outputs_ = 0;
  std::vector<float> weight_;     // [columns, outputs]
  std::vector<float> intercept_;  // of raw features
};

}  // namespace penstock::router
