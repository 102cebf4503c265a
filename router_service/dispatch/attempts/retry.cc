#include "router_service/dispatch/attempts/retry.h"

#include <algorithm>

namespace penstock::router {

RetryVerdict DecideRetry(const RetryQuestion& question) {
  if (question.cause == RetryQuestion::Cause::kAnswered) {
    const bool unavailable = absl::IsUnavailable(question.status);
    const bool cancelled = absl::IsCancelled(question.status) && !question.cancelled_by_us;
    if (!unavailable && !cancelled) return RetryVerdict::kNotRetryable;
    if (question.pushback == absl::InfiniteDuration()) return RetryVerdict::kPushedBack;
  }
  if (question.attempts != 1) return RetryVerdict::kAlreadyTried;
  if (question.untried_replicas == 0) return RetryVerdict::kNoReplica;
  if (question.time_left <= question.pushback) return RetryVerdict::kNoTime;
  if (!(question.energy_j <= question.request_joules_left)) return RetryVerdict::kNoJoules;
  return RetryVerdict::kRetry;
}

absl::Duration SilenceLimit(double p99_latency_s) {
  // Where nothing is known an attempt may take as long as its deadline.
  if (!(p99_latency_s > 0)) return absl::InfiniteDuration();
  return absl::Seconds(4 * p99_latency_s);
}

}  // namespace penstock::router
