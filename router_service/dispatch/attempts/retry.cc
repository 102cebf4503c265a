#include "router_service/dispatch/attempts/retry.h"

#include <algorithm>

namespace penstock::router {

RetryVerdict DecideRetry(const RetryQuestion& question) {
  if (question.cause == RetryQuestion::Cause::kAnswered) {
    const bool unavailable = absl::IsUnavailable(question.status);
    if (!unavailable && !absl::IsCancelled(question.status)) return RetryVerdict::kNotRetryable;
    if (question.pushback == absl::InfiniteDuration()) return RetryVerdict::kPushedBack;
  }
  if (question.attempts != 1) return RetryVerdict::kAlreadyTried;
  if (question.untried_replicas == 0) return RetryVerdict::kNoReplica;
  if (question.time_left <= question.pushback) return RetryVerdict::kNoTime;
  if (!(question.energy_j <= question.request_joules_left)) return RetryVerdict::kNoJoules;
  return RetryVerdict::kRetry;
}

absl::Duration SilenceLimit(double p99_latency_s, absl::Duration time_left) {
  const absl::Duration half = time_left / 2;
  if (!(p99_latency_s > 0)) return half;
  const absl::Duration p99 = absl::Seconds(p99_latency_s);
  return half >= p99 ? std::min(4 * p99, half) : 4 * p99;
}

}  // namespace penstock::router
