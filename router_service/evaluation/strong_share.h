#pragma once

#include <array>

#include "absl/types/span.h"

namespace penstock::router {

// A router between a weak and a strong model, by the share of calls that go to the strong one.
// Performance gap recovered at a share a: (score at a - weak) / (strong - weak), with the requests
// of the largest `gain` on the strong model. Ong et al. 2024, arXiv:2406.18665.
struct StrongShareCurve {
  static constexpr int kSteps = 10;
  // PGR at 0, 10, ..., 100 % of calls, linear between requests.
  std::array<double, kSteps + 1> recovered{};

  // Mean of the PGR over all shares (trapezoid).
  double Apgr() const;
  // Least share with a PGR of `level`, linear between the steps; NaN where it is never reached.
  double Cpt(double level) const;
};

// `order` are the rows by falling gain of asking the strong model; `weight` their bootstrap weights
// (empty: 1 each). NaN throughout where both models score alike.
StrongShareCurve CurveOverStrongShare(absl::Span<const size_t> order, absl::Span<const float> weak,
                                      absl::Span<const float> strong,
                                      absl::Span<const float> weight);

}  // namespace penstock::router
