#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "router_service/learning/cascade_fit.h"
#include "router_service/learning/outcome_table.h"
#include "router_service/learning/train_report.h"

namespace penstock::router {

// P(asked right | what a standing answer and the verifier's say of themselves, and whether they
// agree), for every pair, as SlowEstimate serves it.
struct SlowFit {
  size_t verifier = 0;
  std::vector<float> weight;   // [standing, asked, SlowEstimate::kParameters]
  std::vector<uint8_t> knows;  // [standing]

  float Predict(size_t experts, size_t standing, size_t asked, const OutcomeTable& table,
                size_t row) const;
};
// Does not know a standing expert of fewer than 50 rows, the verifier itself, and one whose own
// calibration error on `heldout` exceeds CascadeQuality::kMostError or is not known there, which
// `warnings` tells.
SlowFit FitSlow(const OutcomeTable& train, absl::Span<const int> fold, int folds,
                const OutcomeTable& heldout, size_t verifier, std::vector<std::string>& warnings);

// What second opinions are worth on `heldout`, `first` answering and price deciding, for several
// deltas; costs are `train`'s means where decided on, the rows' own where paid.
SlowCheckReport EvaluateSlow(const CascadeFit& fast, const SlowFit& slow, const OutcomeTable& train,
                             const OutcomeTable& heldout, size_t first, double price);

}  // namespace penstock::router
