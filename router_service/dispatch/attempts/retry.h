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
  absl::Status status;
  bool cancelled_by_us = false;  // we asked for the CANCELLED
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
  kNotRetryable,  // an answer, an error that another replica would give too, or our own cancel
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

// How long an attempt may stay silent: four times its predicted 0.99 quantile.
absl::Duration SilenceLimit(double p99_latency_s);

}  // namespace penstock::router
