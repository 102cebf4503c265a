#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "router_service/simulation/outcome_matrix.h"

namespace penstock::router {

// The best that one price for the whole run could have done, had it been known.
struct HindsightPlan {
  double price = 0;
  double quality = 0;            // mean, as it came out
  double predicted_quality = 0;  // mean, as it was predicted
  double joules = 0;             // mean, as it came out
  // Share of the requests that are decided at the price just above instead of just below.
  double dear_share = 0;
};

enum class HindsightCost {
  kPredicted,  // decisions see predicted joules, the budget actual ones: what any pacer can reach
  kActual,     // decisions see actual joules too: an upper bound that nobody reaches
};

// max sum q x under sum joules x <= joules_mean * requests and sum_i x_ti = 1, x >= 0: the linear
// relaxation of the multiple-choice knapsack, which one price solves with a fractional tie at most
// (Sinha and Zoltners, The multiple-choice knapsack problem, Operations Research 27, 1979): argmax
// q - price * cost, and a mixture of the choices just above and just below it that spends the rest.
// Exact for kActual; for kPredicted spending is not quite monotone in the price, and the crossing
// found by bisection counts. `rows`: the matrix row of each request.
HindsightPlan Hindsight(const OutcomeMatrix& outcomes, absl::Span<const uint32_t> rows,
                        double joules_mean, HindsightCost cost);

// What one price does, whoever set it.
HindsightPlan AtFixedPrice(const OutcomeMatrix& outcomes, absl::Span<const uint32_t> rows,
                           double price, HindsightCost cost);

// The price at which predicted joules over all rows would meet `joules_mean`: what a fixed price
// set offline would be, and a start price.
double OfflinePrice(const OutcomeMatrix& outcomes, double joules_mean);

// Mean quality of the best random mixture of single experts at this mean of joules: the upper
// concave, non-decreasing hull of (joules, quality) over the requests' rows.
double MixedSingles(const OutcomeMatrix& outcomes, absl::Span<const uint32_t> rows,
                    double joules_mean);

}  // namespace penstock::router
