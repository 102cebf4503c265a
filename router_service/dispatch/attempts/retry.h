#pragma once

#include <cstddef>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace penstock::router {

// What is known when a second attempt might be made.
struct RetryQuestion {
  enum class Cause {
    kAnswered,  // the attempt ended with `status`
    kSlow,      // longer than most of late, and still running: a hedge
    kLost,      // SilenceLimit has passed without an answer
  };
  Cause cause = Cause::kAnswered;
  absl::Status status;  // a CANCELLED is not of our asking
  // The server's wish: not before so long; absl::InfiniteDuration(): not at all.
  absl::Duration pushback;
  size_t attempts = 1;           // made so far
  size_t untried_replicas = 0;   // usable, of this expert
  absl::Duration time_left = absl::InfiniteDuration();
  double energy_j = 0;             // predicted for the second attempt
  double request_joules_left = 0;  // of the request's cap; infinite: no cap
};

enum class RetryVerdict {
  kRetry,
  kNotRetryable,  // an answer, or an error that another replica would give too
  kPushedBack,    // the replica asked for that
  kAlreadyTried,  // one retry is all
  kNoReplica,
  kNoTime,
  kNoJoules,
};

// One second attempt, elsewhere: after UNAVAILABLE, after a CANCELLED that we did not ask for, and
// beside an attempt that is slow or stays silent; with time and joules left, and where the replica
// that failed does not ask for the contrary. Never after what the caller has done.
RetryVerdict DecideRetry(const RetryQuestion& question);

// How long an attempt may stay silent: four times its predicted 0.99 quantile, but half of the time
// until the deadline at most where that is time enough for an answer, so that another replica has as
// much. Where no quantile is known: half.
absl::Duration SilenceLimit(double p99_latency_s, absl::Duration time_left);

}  // namespace penstock::router
