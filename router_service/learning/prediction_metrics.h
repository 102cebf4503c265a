#pragma once

#include <cstddef>

#include "absl/types/span.h"
#include "router_service/learning/train_report.h"

namespace penstock::router {

// Of probabilities against labels in [0, 1]; NaN labels are left out.
double BrierScore(absl::Span<const float> probabilities, absl::Span<const float> labels);
// Expected calibration error over `bins` bins of equal mass.
double CalibrationError(absl::Span<const float> probabilities, absl::Span<const float> labels,
                        size_t bins = 15);
double LogLoss(absl::Span<const float> probabilities, absl::Span<const float> labels);
Fit FitOf(absl::Span<const float> probabilities, absl::Span<const float> labels);

// KL(p||q) + KL(q||p), at least 0, 0 iff equal: how far two experts' distributions are apart. Only
// experts that are close may share load as equals (arXiv:2110.04260). Infinite where one is zero
// and the other not.
double SymmetricDivergence(absl::Span<const float> p, absl::Span<const float> q);

}  // namespace penstock::router
