#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "router_service/simulation/arrival_trace.h"
#include "router_service/simulation/outcome_matrix.h"
#include "router_service/simulation/token_steps/token_profile.h"

namespace penstock::router {

// A request for a row of the matrix that is to be answered within its deadline.
struct TokenArrival {
  double at_s = 0;
  double deadline_s = 0;  // from its arrival; infinity: none
  uint32_t row = 0;
};

struct TokenStepOptions {
  double promise = 0.95;       // the quantile of latency that is predicted, in (0, 1)
  double value = 1;            // of one right answer
  double price_per_joule = 0;  // in quality units
};

// One simulated request.
struct TokenRun {
  double arrived_s = 0;
  double started_s = 0;  // its prompt began to be read
  double finished_s = 0;
  double deadline_s = 0;
  double predicted_s = 0;  // q_p of the expert chosen, when it was chosen
  float joules = 0;
  uint32_t row = 0;
  uint32_t expert = 0;
  bool promised = false;  // some expert's q_p was within the deadline
  double latency_s() const { return finished_s - arrived_s; }
};

struct TokenStepResult {
  std::vector<TokenRun> runs;  // by arrival
  uint64_t events = 0;
  // Of every decision and completion, in order: equal runs have equal digests.
  uint64_t digest = 0;
};

// Experts with continuous batching behind the router's own CostModel, which learns from every
// answer and counts a miss when a promise elapses, and its Selector, which degrades where no expert
// is in time. Each request goes to the server of its expert with the fewest requests, and takes the
// tokens that the matrix tells; what is predicted of them is the matrix's predicted_tokens.
// Deterministic. INVALID_ARGUMENT where the matrix, the profiles (by expert) or the arrivals mean
// nothing.
absl::StatusOr<TokenStepResult> SimulateTokenSteps(absl::Span<const TokenArrival> arrivals,
                                                   const OutcomeMatrix& outcomes,
                                                   absl::Span<const TokenProfile> profiles,
                                                   const TokenStepOptions& options);

// What the table does not tell: joules, by the profile at a full batch, and predicted tokens, as
// the predicted joules have it or else by the expert's mean. INVALID_ARGUMENT names an answer
// without tokens, or an expert without a profile. The rest is Complete's.
absl::Status CompleteTokens(OutcomeMatrix& outcomes, absl::Span<const TokenProfile> profiles);

// Of each expert over the rows: seconds of a mean answer on an idle server; NaN cells are left out.
std::vector<double> MeanUnloadedSeconds(const OutcomeMatrix& outcomes,
                                        absl::Span<const TokenProfile> profiles);
// Requests a second of which all experts together finish at full batches.
double PoolCapacity(const OutcomeMatrix& outcomes, absl::Span<const TokenProfile> profiles);

struct DeadlineDraw {
  double unit_s = 1;  // deadlines are log-uniform in [least, most] of it
  double least = 1.2;
  double most = 6;
};
// The trace's arrivals, each asking for a row, and with a deadline, drawn by (seed, number).
std::vector<TokenArrival> DrawArrivals(const ArrivalTrace& trace, size_t rows,
                                       const DeadlineDraw& draw, uint64_t seed);

}  // namespace penstock::router
