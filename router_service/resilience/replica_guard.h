#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "absl/time/time.h"
#include "common/mutex.h"
#include "router_service/resilience/attempt_outcome.h"
#include "router_service/resilience/circuit_breaker.h"
#include "router_service/resilience/outlier_ejection.h"

namespace penstock::router {

// Whether requests may go to one replica: its breaker, and whether it is ejected. Thread-safe; what
// requests ask takes no lock.
class ReplicaGuard {
 public:
  ReplicaGuard() : breaker_({}, 0) {}

  // From here on; the same pointer again changes nothing. Before: the defaults. `seed`: as
  // CircuitBreaker has it, the first one counts. True: this was the first time.
  bool Configure(const std::shared_ptr<const BreakerOptions>& options, uint64_t seed);
  bool has_breaker() const { return has_breaker_.load(std::memory_order_relaxed); }
  BreakerState state() const { return state_.load(std::memory_order_relaxed); }
  bool admits() const { return state() == BreakerState::kClosed; }
  // Until when an open breaker refuses at least.
  absl::Time open_until() const;
  EjectionReason ejected() const { return ejected_.load(std::memory_order_relaxed); }

  // An attempt that began at `started` ended; whether another was answered meanwhile is known here.
  // True: the breaker opened.
  bool AttemptEnded(AttemptEnd end, absl::Time started, absl::Time now);
  // As CircuitBreaker has them.
  bool TakeProbe(absl::Time now);
  void ProbeEnded(bool good, absl::Time now);

  // For the sweep over an expert's replicas, which alone calls these.
  EjectionCandidate Candidate(absl::Time now) const;
  void SetEjection(const Ejection& ejection);

 private:
  std::atomic<bool> has_breaker_{true};
  std::atomic<BreakerState> state_{BreakerState::kClosed};
  std::atomic<EjectionReason> ejected_{EjectionReason::kNone};
  mutable Mutex mutex_;
  std::shared_ptr<const BreakerOptions> options_ ABSL_GUARDED_BY(mutex_);
  CircuitBreaker breaker_ ABSL_GUARDED_BY(mutex_);
  Ejection ejection_ ABSL_GUARDED_BY(mutex_);
  absl::Time answered_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();  // last
};

}  // namespace penstock::router
