#include "router_service/resilience/replica_guard.h"

namespace penstock::router {

bool ReplicaGuard::Configure(const std::shared_ptr<const BreakerOptions>& options, uint64_t seed) {
  MutexLock lock(mutex_);
  if (options == options_) return false;
  const bool first = options_ == nullptr;
  if (first) {
    breaker_ = CircuitBreaker(*options, seed);
  } else {
    breaker_.SetOptions(*options);
  }
  options_ = options;
  has_breaker_.store(!options->off, std::memory_order_relaxed);
  state_.store(breaker_.state(), std::memory_order_relaxed);
  return first;
}

absl::Time ReplicaGuard::open_until() const {
  MutexLock lock(mutex_);
  return breaker_.open_until();
}

bool ReplicaGuard::AttemptEnded(AttemptEnd end, absl::Time started, absl::Time now) {
  MutexLock lock(mutex_);
  end.answered_another = answered_ > started;
  const AttemptOutcome outcome = JudgeAttempt(end);
  if (outcome == AttemptOutcome::kNothing) return false;
  if (outcome == AttemptOutcome::kSuccess) answered_ = now;
  const bool opened = breaker_.Record(outcome, started, now);
  state_.store(breaker_.state(), std::memory_order_relaxed);
  return opened;
}

bool ReplicaGuard::TakeProbe(absl::Time now) {
  if (admits()) return false;
  MutexLock lock(mutex_);
  const bool due = breaker_.TakeProbe(now);
  state_.store(breaker_.state(), std::memory_order_relaxed);
  return due;
}

void ReplicaGuard::ProbeEnded(bool good, absl::Time now) {
  MutexLock lock(mutex_);
  breaker_.ProbeEnded(good, now);
  state_.store(breaker_.state(), std::memory_order_relaxed);
}

EjectionCandidate ReplicaGuard::Candidate(absl::Time now) const {
  MutexLock lock(mutex_);
  return {breaker_.admits(), breaker_.Recent(now), ejection_};
}

void ReplicaGuard::SetEjection(const Ejection& ejection) {
  MutexLock lock(mutex_);
  // It is judged anew by what it does from here on.
  if (ejection_.ejected() && !ejection.ejected()) breaker_.Forget();
  ejection_ = ejection;
  ejected_.store(ejection.reason, std::memory_order_relaxed);
}

}  // namespace penstock::router
