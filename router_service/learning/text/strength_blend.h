#pragma once

#include <cstddef>
#include <vector>

#include "absl/types/span.h"

namespace penstock::router {

// The direction in which the experts' labels vary most together, a unit vector: the first principal
// component of the labels about their means, by power iteration from equal shares. It is how hard
// a request is for everybody, with each expert's own sensitivity to that. From the rows that know
// every expert; where those are fewer than ten an expert it is equal shares. labels
// [experts, rows], NaN = not known.
std::vector<double> SharedDirection(absl::Span<const float> labels, size_t experts);

// What ridge fits of rising strength say together, calibrated on held-out labels, about each
// expert's own mean:
//   p = mean label + common c + sum_l own_l o_l,
// d_l = the predictions of strength l less their means, one entry an expert; c and o = d along the
// shared direction and across it. How hard a request is is learnt from all experts' labels and much
// surer than what tells two experts apart: c is that of the strength with the least squared error.
// Who is asked is decided by the largest of several differences, which is the one that erred most
// in its own favour, so o wants more smoothing than squared error asks for: the mean over the
// strength of least squared error and the two above it (of two experts none, of three one). No strength is chosen by how well routing
// by it goes: that figure's noise is larger than what it would tell.
// The factors (Breiman 1996, "Stacked Regressions"; Breiman and Friedman 1997, "curds and whey")
// are the same for all experts: those of each expert's own are noisy, and their noise changes who
// wins. Least squares, a pseudo-observation of unit spread holding each near 1.
struct StrengthBlend {
  struct Part {
    double common = 0, own = 0;
    std::vector<double> prediction_mean;  // [experts]
  };

  std::vector<double> direction, label_mean;  // [experts]
  std::vector<Part> parts;                    // by strength
  size_t own_strength = 0;  // of the least squared error across the direction
  double own_slope = 1;     // at that strength

  // predictions, for each strength: [experts, rows], as labels; NaN labels are left out.
  static StrengthBlend Of(absl::Span<const std::vector<float>> predictions,
                          absl::Span<const float> labels, size_t experts);
  std::vector<float> Apply(absl::Span<const std::vector<float>> predictions) const;
  bool Uses(size_t strength) const {
    return parts[strength].common > 0 || parts[strength].own > 0;
  }

  // The same map of a linear model: adds to sums [experts] what a feature that has these weights
  // at a strength adds to each expert's prediction; and what the intercepts become.
  void AddFolded(size_t strength, absl::Span<const float> weights, absl::Span<double> sums) const;
  void AddFolded(size_t strength, absl::Span<const double> deviations,
                 absl::Span<double> sums) const;
};

}  // namespace penstock::router
