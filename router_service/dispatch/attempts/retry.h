#pragma once

#include <cstddef>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace penstock::router {

// What is known when a second attempt might be made.
struct RetryQuestion {
  enum class Cause {
    kAnswered,  // the attempt ended with `status`
    kSilent,    // SilenceLimit has passed without an answer
  };
  Cause cause = Cause::kAnswered;
  absl::Status status;
  bool cancelled_by_us = false;  // we asked for the CANCELLED
  size_t attempts = 1;           // made so far
  size_t untried_replicas = 0;   // healthy, of this expert
  absl::Duration time_left = absl::InfiniteDuration();
  double energy_j = 0;             // predicted for the second attempt
  double request_joules_left = 0;  // of the request's cap; infinite: no cap
};

enum class RetryVerdict {
  kRetry,
  kNotRetryable,  // an answer, an error that another replica would give too, or our own cancel
  kAlreadyTried,  // one retry is all
  kNoReplica,
  kNoTime,
  kNoJoules,
};

// One retry, elsewhere: after UNAVAILABLE, after a CANCELLED that we did not ask for, and after an
// attempt that stays silent; with time and joules left.
RetryVerdict DecideRetry(const RetryQuestion& question);

// How long an attempt may stay silent: four times its predicted 0.99 quantile.
absl::Duration SilenceLimit(double p99_latency_s);

}  // namespace penstock::router
