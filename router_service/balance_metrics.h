#pragma once

#include <memory>

#include "common/store/store.h"
#include "common/time/clock.h"
#include "common/time/timers.h"
#include "router_service/dispatch/route_observer.h"
#include "router_service/gating/balance/balance_exchange.h"
#include "router_service/metrics/pool_labels.h"
#include "router_service/pools/pool_catalogue.h"

namespace prometheus {
class Registry;
}  // namespace prometheus

namespace penstock::router {

// How each pool's requests fell to its experts over all routers of the store, in the last window of
// ten seconds; NaN where that is not known. Pools beyond what `labels` tells are left out.
// Thread-safe.
class BalanceMetrics final : public RouteObserver {
 public:
  // All outlive Stop; `next`, which every event is passed on to, outlives this.
  struct Deps {
    prometheus::Registry& registry;
    PoolLabels& labels;
    const PoolCatalogue& catalogue;
    Store& store;
    const Clock& clock;
    Timers& timers;
    RouteObserver& next;
  };
  explicit BalanceMetrics(const Deps& deps);
  ~BalanceMetrics() override;

  void Start() { exchange_->Start(); }
  // After this, events are only passed on and counted for nobody.
  void Stop() { exchange_->Stop(); }
  void RequestFinished(const RouteEvent& event) override;

 private:
  class Gauges;

  RouteObserver& next_;
  const std::shared_ptr<Gauges> gauges_;
  const std::shared_ptr<BalanceExchange> exchange_;
};

}  // namespace penstock::router
