#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "router_service/resilience/attempt_outcome.h"
#include "router_service/resilience/outcome_window.h"

namespace penstock::router {

enum class BreakerState : uint8_t { kClosed, kHalfOpen, kOpen };
absl::string_view BreakerStateName(BreakerState state);  // "closed", "half-open", "open"

// As config.v1.CircuitBreaker has them, with its defaults.
struct BreakerOptions {
  bool off = false;
  absl::Duration window = absl::Seconds(10);
  uint32_t min_requests = 20;
  uint32_t consecutive_failures = 5;
  double failure_rate = 0.5;
  absl::Duration open_time = absl::Seconds(1);
  absl::Duration max_open_time = absl::Seconds(30);
  uint32_t probes = 2;
  absl::Duration probe_interval = absl::Milliseconds(100);
};

// Whether one replica gets requests, by how its attempts ended. Only attempts move a closed one,
// only time an open one, only probes a half-open one:
//
//   closed --failures in a row, or a rate of them--> open --its time is over--> half-open
//   half-open --good probes in a row--> closed, on probation: the first failure opens it
//   half-open --a bad probe--> open
//
// No clock of its own: who calls says what time it is, and time does not go back.
class CircuitBreaker {
 public:
  // `seed`: of the jitter, so that no two are probed together.
  CircuitBreaker(const BreakerOptions& options, uint64_t seed);

  // From here on. What is open stays open for as long as it was to; another window begins empty.
  void SetOptions(const BreakerOptions& options);

  BreakerState state() const { return state_; }
  bool admits() const { return state_ == BreakerState::kClosed; }
  // When an open one may be probed.
  absl::Time open_until() const { return open_until_; }
  OutcomeTotals Recent(absl::Time now) const { return window_.Totals(now); }
  // What was seen says nothing of the replica any more.
  void Forget() { window_.Clear(); }

  // An attempt that began at `started` ended at `now`. True: it opened the breaker. One that began
  // before the breaker last closed is of a replica that is no more.
  bool Record(AttemptOutcome outcome, absl::Time started, absl::Time now);
  // True: a probe is due; the caller makes it and tells how it went. Makes an open breaker whose
  // time is over half-open.
  bool TakeProbe(absl::Time now);
  void ProbeEnded(bool good, absl::Time now);

 private:
  void Open(absl::Duration time, absl::Time now);
  void Close(absl::Time now);

  BreakerOptions options_;
  uint64_t seed_;
  uint64_t draws_ = 0;
  OutcomeWindow window_;
  BreakerState state_ = BreakerState::kClosed;
  uint32_t failures_in_a_row_ = 0;
  bool on_probation_ = false;
  uint32_t reopened_ = 0;  // by requests, each within a window of its closing
  absl::Time closed_since_ = absl::InfinitePast();
  absl::Time open_until_ = absl::InfinitePast();
  uint32_t good_probes_ = 0;
  bool probing_ = false;
  absl::Time next_probe_ = absl::InfinitePast();
};

}  // namespace penstock::router
