#pragma once

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "router_service/learning/linear/logistic_heads.h"
#include "router_service/learning/outcome_table.h"
#include "router_service/learning/train_report.h"

namespace penstock::router {

// What was not asked, as predicted: no head was fitted on its own blanks.
OutcomeTable WithBlanksPredicted(OutcomeTable table, const LogisticHeads& heads);

// The report's policies, of a log of decisions: doubly robust estimates (off_policy.h) with what is
// predicted of the held-out rows as the model, and what the log's own policy was reported to be
// worth. A row without a propensity counts as surely chosen: there the estimate is as good as the
// predictions, and the report warns of it. Logits and predictions are [experts, held-out rows].
absl::Status CompareLoggedPolicies(const OutcomeTable& train, const OutcomeTable& heldout,
                                   absl::Span<const float> gate_logits,
                                   absl::Span<const float> predictions, TrainReport& report);

}  // namespace penstock::router
