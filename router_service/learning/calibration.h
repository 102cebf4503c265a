#pragma once

#include "absl/types/span.h"

namespace penstock::router {

// sigma(offset + logit / tau).
struct Calibration {
  double tau = 1;
  double offset = 0;

  double Apply(double logit) const;
};

// Scaling of logits about the expert's own mean: a plain temperature would pull every expert
// towards 1/2 and so change who wins between experts. tau and offset minimise the log loss on
// held-out labels in [0, 1] by Newton's method; the offset's own condition is that the mean
// prediction be the mean label. One pseudo-observation holds tau near 1 where there are few labels.
// Guo et al. 2017, arXiv:1706.04599, with an offset. NaN labels are left out.
Calibration FitCalibration(absl::Span<const float> logits, absl::Span<const float> labels);

}  // namespace penstock::router
