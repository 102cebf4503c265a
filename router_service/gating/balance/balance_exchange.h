#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/store/store.h"
#include "common/time/clock.h"
#include "common/time/timers.h"
#include "router_service/gating/balance/pool_balance.h"

namespace penstock::router {

// Adds up the choices of all routers of a store by windows of ten seconds, and tells the balance of
// each window that is over. What the store misses while it is away is not made up for: it is a
// statistic. Thread-safe.
class BalanceExchange : public std::enable_shared_from_this<BalanceExchange> {
 public:
  static constexpr absl::Duration kWindow = absl::Seconds(10);
  static constexpr absl::Duration kEvery = absl::Seconds(1);
  // After a window's end, for those who add to it late; clocks that differ by less do no harm.
  static constexpr absl::Duration kGrace = absl::Seconds(2);
  static constexpr absl::Duration kLife = absl::Seconds(60);            // of a window in the store
  static constexpr absl::Duration kPatience = absl::Milliseconds(500);  // of a call

  struct PoolExperts {
    std::string pool;
    std::vector<std::string> experts;
  };
  // All outlive Stop.
  struct Deps {
    Store& store;
    const Clock& clock;
    Timers& timers;
    std::function<std::vector<PoolExperts>()> pools;  // that there are
    // Of the last window; nothing: it is not known, or nobody was chosen. On any thread.
    std::function<void(const PoolExperts& pool, const std::optional<Balance>& balance)> told;
  };
  explicit BalanceExchange(Deps deps);

  void Add(absl::string_view pool, const v1::Decision& decision);

  void Start();
  // `told` does not run after this.
  void Stop();

 private:
  void Tick();
  void OnWindow(const PoolExperts& pool, const absl::StatusOr<StoreFields>& counters);

  const Deps deps_;
  Mutex counts_mutex_;  // of requests' threads; held for no call
  std::map<std::string, BalanceCounts, std::less<>> counts_ ABSL_GUARDED_BY(counts_mutex_);
  Mutex mutex_;
  Timers::Id timer_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t read_ ABSL_GUARDED_BY(mutex_);  // the last window that was read, or is not to be
};

}  // namespace penstock::router
