#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "router_service/gating/count_gate.h"
#include "router_service/learning/outcome_table.h"
#include "router_service/learning/train_report.h"

namespace penstock::router {

struct CountOptions {
  // One more expert is worth it where it divides the error by this, above 1.
  double factor = 1.1;
  size_t most = 5;  // experts at most, in [2, 16]; fewer where the table has fewer
  // Mean count that the training rows shall have, over `most` or, where there are fewer, the table's
  // experts; in [1/most, 1], though no request asks for fewer than one. Unset: as learned.
  std::optional<double> share;
};
absl::Status CheckCount(const CountOptions& options);

// What CountGate serves: weight [counts, dimension], bias [counts].
struct CountFit {
  std::vector<float> weight, bias;
  size_t counts() const { return bias.size(); }
};

// Softmax regression of AcmLabel on a row's features, its experts voting in the order of
// `predictions` ([experts, rows], the best first); a share is met by a price of one more expert, in
// the offsets.
CountFit FitCount(const OutcomeTable& train, absl::Span<const int> fold, int folds,
                  absl::Span<const float> predictions, const CountOptions& options);

// The vote of as many as the gate says beside as many for every request.
CountReport EvaluateCount(const CountGate& gate, const OutcomeTable& heldout,
                          absl::Span<const float> predictions);

}  // namespace penstock::router
