#pragma once

#include <cstddef>
#include <vector>

#include "router_service/learning/cascade_fit.h"
#include "router_service/learning/outcome_table.h"

namespace penstock::router {

// From which confidence (its largest probability) on an expert's answer stands, and whom to ask
// else: of all other experts and all thresholds those of the largest mean quality less the priced
// mean cost of who was asked, over the rows of `train` that tell all of it. An expert after whom
// nobody is worth asking has itself as the next. Ties: the lower threshold, then the lower expert.
struct FixedConfidenceFit {
  std::vector<float> from;   // [experts]
  std::vector<size_t> next;  // [experts]
};
FixedConfidenceFit FitFixedConfidence(const OutcomeTable& train, double price);

// Expected calibration error of P(asked right | standing's confidence) on `heldout`, [standing,
// asked]; NaN where no row tells.
std::vector<float> CalibrationErrors(const CascadeFit& fit, const OutcomeTable& heldout);

}  // namespace penstock::router
