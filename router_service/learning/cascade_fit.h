#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "router_service/learning/outcome_table.h"
#include "router_service/learning/train_report.h"

namespace penstock::router {

// P(asked expert right | standing expert's confidence in its own answer), for every pair; the
// diagonal is the standing answer's own, and does not fall with confidence.
struct CascadeFit {
  std::vector<float> weight;       // [standing, asked, 3]: a, b_1, b_2 of ConfidenceFeatures
  std::vector<uint8_t> can_stand;  // whether the table tells the expert's confidence

  float Predict(size_t experts, size_t standing, size_t asked, const AnswerConfidence& c) const;
};
CascadeFit FitCascade(const OutcomeTable& train, absl::Span<const int> fold, int folds);

// For each pair whose second is dearer (better, where no costs are known): quality when the share
// of requests with the largest p_big - p_stay goes on.
std::vector<CascadePairReport> EvaluateCascade(const CascadeFit& fit, const OutcomeTable& heldout);

}  // namespace penstock::router
