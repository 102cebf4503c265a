#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace penstock::router {

// Routing as a congestion game of many small requests: expert i pays off q_i - gamma_i p_i, p_i
// being its share of the load, and requests choose by logit response with unit noise. The
// equilibrium
//   p_i = exp(q_i - gamma_i p_i) / Z
// is the minimum over the simplex of sum_i [p_i log p_i - q_i p_i + gamma_i p_i^2 / 2], strictly
// convex for gamma >= 0, so it is unique: p_i = W0(gamma_i e^(q_i - mu)) / gamma_i with the mu at
// which they sum to 1. Anderson, de Palma and Thisse 1992 of discrete choice; congestion after
// Rosenthal 1973.

// W0(e^log_x), Lambert's W, at any log_x.
double LambertWOfExp(double log_x);

// [experts] each. q of -infinity: the expert takes nothing; at least one is finite. gamma_i >= 0.
void CongestionEquilibrium(absl::Span<const double> q, absl::Span<const double> gamma,
                           absl::Span<double> p);
// The same gamma for all.
std::vector<double> CongestionEquilibrium(absl::Span<const double> q, double gamma);

// The least gamma with which no expert's load exceeds `target` times its part: p_i <= target * s_i,
// where gamma_i = gamma / (n s_i), so that gamma without bound balances the load to the parts.
// `part` sums to 1 over the experts of finite q, and is above 0 there; target > 1. kLargestGamma
// where even that does not do. To a hundredth of gamma.
inline constexpr double kLeastGamma = 1e-3;
inline constexpr double kLargestGamma = 1e3;
double LeastGammaFor(absl::Span<const double> q, absl::Span<const double> part, double target);

// gamma that explains observed shares best: argmin ||p_observed - p(gamma)||_1 over log gamma in
// [kLeastGamma, kLargestGamma], by golden section round the best of a grid. `part` as above; empty:
// equal.
double FitGamma(absl::Span<const double> q, absl::Span<const double> observed,
                absl::Span<const double> part = {});

struct GammaEstimate {
  double gamma = 0;
  double low = 0, high = 0;  // the middle 95 % of the bootstrap
};
// The same over windows of load counts [windows, experts], and how sure it is: windows drawn with
// replacement, `draws` times.
GammaEstimate FitGammaOverWindows(absl::Span<const double> q, absl::Span<const double> counts,
                                  size_t draws, uint64_t seed);

}  // namespace penstock::router
