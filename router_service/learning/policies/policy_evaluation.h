#pragma once

#include <cstddef>
#include <vector>

#include "absl/types/span.h"
#include "router_service/learning/outcome_table.h"
#include "router_service/learning/train_report.h"

namespace penstock::router {

// Mean quality and cost of choosing expert choice[row] in each row; rows whose quality is unknown
// do not count.
PolicyReport EvaluateChoice(std::string name, const OutcomeTable& table,
                            absl::Span<const size_t> choice);
// Of drawing an expert with equal probability, in expectation.
PolicyReport EvaluateRandom(const OutcomeTable& table);
// The expert with the largest score in each row, scores [experts, rows]; NaN never wins, ties to
// the lower index.
std::vector<size_t> LargestScore(absl::Span<const float> scores, size_t experts, size_t rows);
// Paired: choice minus random.
void CompareWithRandom(const OutcomeTable& table, absl::Span<const size_t> choice,
                       double& difference, double& standard_error);

std::vector<double> MeanCosts(const OutcomeTable& table);
double MeanQuality(const OutcomeTable& table, size_t expert);

// Quality at eight budgets between the cheapest and the dearest expert: argmax of quality minus
// price times the expert's mean training cost, the price found on `train`. Predictions are
// [experts, rows].
std::vector<BudgetPoint> EvaluateBudgets(const OutcomeTable& train,
                                         absl::Span<const float> train_predictions,
                                         const OutcomeTable& heldout,
                                         absl::Span<const float> heldout_predictions);

}  // namespace penstock::router
