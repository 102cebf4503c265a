#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "router_service/learning/cascade_fit.h"
#include "router_service/learning/outcome_table.h"
#include "router_service/learning/train_report.h"

namespace penstock::router {

// Where the experts `stages` stand in the table. INVALID_ARGUMENT: fewer than 2, one that is not in
// the table, one twice, and, where `must_stand`, one before the last whose answers `fit` cannot
// judge.
absl::StatusOr<std::vector<size_t>> StageIndices(const CascadeFit& fit, const OutcomeTable& table,
                                                 const std::vector<std::string>& stages,
                                                 bool must_stand = true);

// The lead, P(right) of a standing answer minus that of the last stage given the same confidence,
// above which an answer of `stages` (asked in that order) may stand, so that in the mean at most
// `risk` of quality is lost against the last stage: with qualities of 0 and 1, the probability that
// an earlier stage's wrong answer stood where the last one's is right. One lead for all stages, so
// that what stands at a larger lead stands at a smaller one too. Rows of `heldout`, none of which
// `fit` has seen, count where every stage's quality and every earlier stage's confidence is known.
// INVALID_ARGUMENT: stages that the table or the fit cannot serve, or a risk outside (0, 1).
absl::StatusOr<CascadeRiskReport> CalibrateCascade(const CascadeFit& fit,
                                                   const OutcomeTable& heldout,
                                                   const std::vector<std::string>& stages,
                                                   double risk);

}  // namespace penstock::router
