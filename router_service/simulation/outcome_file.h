#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "router_service/simulation/expert_profile.h"
#include "router_service/simulation/malformed_rows.h"
#include "router_service/simulation/outcome_matrix.h"

namespace penstock::router {

// A table of outcomes, plain or gzipped, in one of two forms:
//   CSV, one answer a row, with the columns id, expert, quality and, where known, joules, seconds,
//     tokens, predicted_quality, predicted_joules, predicted_tokens, prompt_tokens; other columns are
//     passed over;
//   JSON lines as for `penstock train`, {"id": 7, "experts": {"small": {"quality": 1, "joules": 0.2,
//     "seconds": 0.004}, ...}}, with the same names.
// Quality is in [0, 1], the others are at least 0. An answer that stands twice, or a row that cannot
// be read, is malformed. What is not told is NaN.
absl::StatusOr<OutcomeMatrix> ParseOutcomes(absl::string_view file, absl::string_view text,
                                            MalformedRows& malformed);
absl::StatusOr<OutcomeMatrix> ReadOutcomes(const std::string& file, MalformedRows& malformed);

// Predictions from CSV with the columns id, model, q, cost (joules); pairs that the matrix lacks are
// passed over. INVALID_ARGUMENT unless every answer of the matrix has one.
absl::Status ReadEstimates(const std::string& file, OutcomeMatrix& outcomes,
                           MalformedRows& malformed);

// How many answers were completed, and from where.
struct Completion {
  size_t joules_from_profile = 0;
  size_t seconds_from_profile = 0;
  size_t predictions_from_means = 0;
};

// Joules and seconds that the table does not tell, by the profiles (empty: there are none), and
// predictions that it does not tell, by the expert's means over the table. INVALID_ARGUMENT names
// the expert of an answer that nothing tells the joules of; seconds are 0 then.
absl::StatusOr<Completion> Complete(OutcomeMatrix& outcomes,
                                    absl::Span<const ExpertProfile> profiles);

}  // namespace penstock::router
