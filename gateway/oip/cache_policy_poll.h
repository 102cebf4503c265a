#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/net/infer_call.h"
#include "common/time/clock.h"
#include "common/time/timers.h"
#include "gateway/caching/cache_observer.h"
#include "gateway/caching/cache_policy.h"
#include "gateway/forwarding/router_set.h"
#include "penstock/v1/routing.pb.h"

namespace penstock::gateway {

// Asks a router now and then how the answers of its pools may be kept. What cannot be asked stays
// as it is known. Thread-safe.
class CachePolicyPoll final : public std::enable_shared_from_this<CachePolicyPoll> {
 public:
  // All outlive Stop.
  struct Deps {
    const RouterSet& routers;
    CachePolicies& policies;
    const Clock& clock;
    Timers& timers;
    CacheObserver& observer;
    absl::Duration period;
  };
  explicit CachePolicyPoll(Deps deps) : deps_(deps), period_(deps.period) {}
  // From the next asking on.
  void SetPeriod(absl::Duration period) {
    MutexLock lock(mutex_);
    period_ = period;
  }

  void Start() { Ask(); }
  // Something has changed: asks before the period is over, but not all the time.
  void AskSoon();
  void Stop();

 private:
  void Ask();
  void OnPools(absl::StatusOr<v1::ListPoolsResponse> pools);
  void ScheduleNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // In place of what was scheduled.
  void ScheduleAt(absl::Time when) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Deps deps_;
  Mutex mutex_;
  absl::Duration period_ ABSL_GUARDED_BY(mutex_);
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  bool asking_ ABSL_GUARDED_BY(mutex_) = false;
  bool soon_ ABSL_GUARDED_BY(mutex_) = false;  // asked for while asking
  absl::Time asked_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  Timers::Id timer_ ABSL_GUARDED_BY(mutex_) = 0;
  std::shared_ptr<OutgoingCall> call_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock::gateway
