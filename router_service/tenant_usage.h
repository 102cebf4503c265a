#pragma once

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "common/store/store.h"
#include "common/time/clock.h"
#include "common/time/timers.h"
#include "router_service/usage/usage_counts.h"
#include "router_service/usage/usage_ledger.h"
#include "router_service/usage/usage_pages.h"
#include "router_service/usage/usage_teller.h"
#include "router_service/usage_observer.h"

namespace penstock::router {

// What tenants take of a router: counted as requests end, told to the store that routers share, and
// read from it.
class TenantUsage {
 public:
  // `store`: null where routers share none. `instance`: this router's. All outlive this, but
  // `timers`, which outlive Stop.
  TenantUsage(Store* store, const Clock& clock, Timers& timers, uint32_t instance,
              RouteObserver& next);

  // Hears of every request, and passes it on.
  RouteObserver& observer() { return observer_; }
  // Until Stop.
  UsagePages& pages() { return *pages_; }

  void Start() { teller_->Start(); }
  // Tells what was counted until now; takes no longer than `patience`.
  void Finish(absl::Duration patience);
  // Nothing is told or read any more.
  void Stop();

 private:
  const std::string owner_;
  UsageCounts counts_;
  UsageObserver observer_;
  const std::unique_ptr<UsageLedger> ledger_;  // null: no store is shared
  std::unique_ptr<UsageTeller> teller_;
  std::unique_ptr<UsagePages> pages_;
};

}  // namespace penstock::router
