#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/store/store.h"
#include "common/time/clock.h"
#include "common/time/timers.h"
#include "router_service/pacing/budget_pacer.h"
#include "router_service/pacing/sharing/budget_shares.h"

namespace penstock::router {

// Tells the other routers, through the store, what this one does with each budget that has a price,
// hears of them, and passes what follows on to the pacer. In the background: no request waits for
// it. While the store does not answer, the last shares stay. Thread-safe.
class DemandExchange : public std::enable_shared_from_this<DemandExchange> {
 public:
  static constexpr absl::Duration kPeriod = absl::Milliseconds(100);
  // Of budgets in one period; of more, each has its turn later.
  static constexpr size_t kMostAtOnce = 64;

  // All of these outlive Stop. `router`: no two processes have the same.
  DemandExchange(BudgetPacer& pacer, Store& store, Timers& timers, const Clock& clock,
                 std::string router);

  void Start();
  // Neither the pacer nor, but for calls under way, the store is touched after this.
  void Stop();
  // Of every budget it knows whether there are others. Before, it takes each to be its own alone.
  bool heard() const;

 private:
  struct Budget {
    BudgetShares shares;
    int64_t generation = 0;  // the beat that it was first seen at
    BudgetDemand seen;       // last
    bool under_way = false;
    bool heard = false;
  };
  // One budget's round: what was read of the windows that it may stand in.
  struct Round {
    Mutex mutex;
    BudgetKey key;
    ToldDemand own;
    int missing ABSL_GUARDED_BY(mutex) = 0;
    bool failed ABSL_GUARDED_BY(mutex) = false;
    ToldDemands told ABSL_GUARDED_BY(mutex);
  };

  void Tick();
  std::vector<std::shared_ptr<Round>> Begin() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // In which every budget has its turn.
  absl::Duration RoundLength() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Run(const std::shared_ptr<Round>& round);
  void Heard(const std::shared_ptr<Round>& round, absl::StatusOr<StoreFields> fields);

  BudgetPacer& pacer_;
  Store& store_;
  Timers& timers_;
  const Clock& clock_;
  const std::string router_;
  mutable Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  Timers::Id timer_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t beat_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<BudgetKey, Budget> budgets_ ABSL_GUARDED_BY(mutex_);
  BudgetKey next_ ABSL_GUARDED_BY(mutex_);  // whose turn it is
};

}  // namespace penstock::router
