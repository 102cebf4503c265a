#include "router_service/resilience/circuit_breaker.h"

#include <algorithm>

#include "common/random.h"

namespace penstock::router {
namespace {
// Of the open time, added at random at most.
constexpr double kJitter = 0.2;
// 2^20 open times are beyond every max_open_time.
constexpr uint32_t kMostDoublings = 20;
}  // namespace

absl::string_view BreakerStateName(BreakerState state) {
  switch (state) {
    case BreakerState::kClosed:
      return "closed";
    case BreakerState::kHalfOpen:
      return "half-open";
    case BreakerState::kOpen:
      return "open";
  }
  return "";
}

CircuitBreaker::CircuitBreaker(const BreakerOptions& options, uint64_t seed)
    : options_(options), seed_(seed), window_(options.window) {}

void CircuitBreaker::SetOptions(const BreakerOptions& options) {
  if (options.window != options_.window) window_ = OutcomeWindow(options.window);
  options_ = options;
  if (options.off && state_ != BreakerState::kClosed) Close(absl::InfinitePast());
}

bool CircuitBreaker::Record(AttemptOutcome outcome, absl::Time started, absl::Time now) {
  if (state_ != BreakerState::kClosed || started < closed_since_) return false;
  switch (outcome) {
    case AttemptOutcome::kNothing:
      return false;
    case AttemptOutcome::kSuccess:
      window_.AddSuccess(now - started, now);
      failures_in_a_row_ = 0;
      on_probation_ = false;
      return false;
    case AttemptOutcome::kLate:  // ejection compares it with others; alone it opens nothing
      window_.AddLate(now);
      return false;
    case AttemptOutcome::kFailure:
      break;
  }
  window_.AddFailure(now);
  ++failures_in_a_row_;
  if (options_.off) return false;
  const OutcomeTotals recent = window_.Totals(now);
  const bool in_a_row = failures_in_a_row_ >= options_.consecutive_failures;
  const bool rate =
      recent.count() >= options_.min_requests && recent.failure_rate() >= options_.failure_rate;
  if (!on_probation_ && !in_a_row && !rate) return false;
  if (now - closed_since_ >= options_.window) reopened_ = 0;
  const absl::Duration time =
      std::min(options_.max_open_time, options_.open_time * (int64_t{1} << reopened_));
  reopened_ = std::min(reopened_ + 1, kMostDoublings);
  Open(time, now);
  return true;
}

bool CircuitBreaker::TakeProbe(absl::Time now) {
  if (state_ == BreakerState::kOpen && now >= open_until_) {
    state_ = BreakerState::kHalfOpen;
    good_probes_ = 0;
    next_probe_ = now;
  }
  if (state_ != BreakerState::kHalfOpen || probing_ || now < next_probe_) return false;
  probing_ = true;
  return true;
}

void CircuitBreaker::ProbeEnded(bool good, absl::Time now) {
  if (!probing_) return;
  probing_ = false;
  if (state_ != BreakerState::kHalfOpen) return;
  if (!good) {
    Open(options_.open_time, now);
  } else if (++good_probes_ >= options_.probes) {
    Close(now);
  } else {
    next_probe_ = now + options_.probe_interval;
  }
}

void CircuitBreaker::Open(absl::Duration time, absl::Time now) {
  state_ = BreakerState::kOpen;
  open_until_ = now + time * (1 + kJitter * CounterRandom(seed_, draws_++).Uniform());
}

void CircuitBreaker::Close(absl::Time now) {
  state_ = BreakerState::kClosed;
  closed_since_ = now;
  failures_in_a_row_ = 0;
  on_probation_ = true;
  window_.Clear();
}

}  // namespace penstock::router
