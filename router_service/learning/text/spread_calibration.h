#pragma once

#include <cstddef>
#include <vector>

#include "absl/types/span.h"

namespace penstock::router {

// Calibrates predictions about each expert's own mean, by two factors for all experts:
//   p_i = mean label_i + common * c + own * (d_i - c),
// d_i = the prediction less its mean, c = the mean of d over the experts. c is how hard the request
// is for everybody, d_i - c what it is to expert i: the first is learnt from all experts' labels and
// much surer, so one factor for both would exaggerate the differences that decide who is asked.
// Factors of each expert's own (Guo et al. 2017, arXiv:1706.04599, by class) calibrate a little better
// but are noisy, and their noise changes who wins. Least squares on held-out labels, a
// pseudo-observation of unit spread holding both near 1.
struct SpreadCalibration {
  double common = 1, own = 1;
  std::vector<double> label_mean, prediction_mean;  // [experts]

  // predictions, labels [experts, rows]; NaN labels are left out.
  static SpreadCalibration Of(absl::Span<const float> predictions, absl::Span<const float> labels,
                              size_t experts);
  // Held within [0.01, 0.99].
  std::vector<float> Apply(absl::Span<const float> predictions) const;

  // The same map of a linear model: in place, what a feature adds to each expert's prediction;
  // and what the intercepts become.
  void Fold(absl::Span<float> weights) const;
  std::vector<double> FoldedMean(absl::Span<const double> intercepts) const;
};

}  // namespace penstock::router
