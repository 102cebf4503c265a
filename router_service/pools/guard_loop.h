#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/time/clock.h"
#include "common/time/timers.h"
#include "router_service/pools/pool_catalogue.h"
#include "router_service/resilience/resilience_options.h"

namespace penstock::router {

// What replicas' guards need beside requests: their pool's configuration, a probe of each breaker
// that is due for one, and the sweep for outliers. On a timer, whether requests come or not.
// Thread-safe.
class GuardLoop : public std::enable_shared_from_this<GuardLoop> {
 public:
  // Probes are due at this pace; between sweeps there are more ticks than one.
  static constexpr absl::Duration kTick = absl::Milliseconds(50);
  static constexpr absl::Duration kSweep = absl::Milliseconds(500);
  // Runs after each sweep, one at a time.
  using OnSwept = absl::AnyInvocable<void(const std::vector<std::shared_ptr<const Pool>>&)>;

  // All of these outlive Stop. `seed`: of the jitter of open times.
  GuardLoop(const PoolCatalogue& catalogue, const Clock& clock, Timers& timers, uint64_t seed,
            OnSwept on_swept = nullptr);

  // The first tick is made before it returns.
  void Start();
  // Neither catalogue nor timers are touched after this.
  void Stop();

 private:
  // Of a pool as it was seen last.
  struct Settings {
    std::shared_ptr<const Pool> pool;
    std::string text;  // of its configuration
    absl::Duration probe_timeout;
    EjectionOptions ejection;
    std::shared_ptr<const BreakerOptions> breaker;
  };

  void Tick();
  const Settings& SettingsOf(const std::shared_ptr<const Pool>& pool)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Probe(const PoolExpert& expert, size_t replica, absl::Duration timeout) const;
  static void Sweep(const Pool& pool, size_t expert, const EjectionOptions& options,
                    absl::Time now);

  const PoolCatalogue& catalogue_;
  const Clock& clock_;
  Timers& timers_;
  const uint64_t seed_;
  OnSwept on_swept_ ABSL_GUARDED_BY(mutex_);
  Mutex mutex_;
  uint64_t replicas_seen_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, Settings> settings_ ABSL_GUARDED_BY(mutex_);  // by pool
  absl::Time next_sweep_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  Timers::Id timer_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace penstock::router
