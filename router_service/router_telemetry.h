#pragma once

#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "common/metrics/store_metrics.h"
#include "common/store/store.h"
#include "common/time/clock.h"
#include "common/time/timers.h"
#include "penstock/config/v1/router.pb.h"
#include "router_service/balance_metrics.h"
#include "router_service/budget_metrics.h"
#include "router_service/decision_log_metrics.h"
#include "router_service/guard_metrics.h"
#include "router_service/metrics/budget_state_metrics.h"
#include "router_service/metrics/pool_labels.h"
#include "router_service/pacing/budget_pacer.h"
#include "router_service/pacing/leasing/shared_window_ledger.h"
#include "router_service/pools/pool_catalogue.h"
#include "router_service/recording/decision_log.h"
#include "router_service/replicas/shared_load/shared_load.h"
#include "router_service/resilience_metrics.h"
#include "router_service/router_metrics.h"

namespace prometheus {
class Registry;
}  // namespace prometheus

namespace penstock::router {

// All metrics of a router, and what they are told by: requests as they end, plans, and sweeps.
// Thread-safe, but for the sweeps, which come one after the other.
class RouterTelemetry {
 public:
  // All outlive Stop; what requests may still be told of, the registry, outlives this.
  struct Deps {
    std::shared_ptr<prometheus::Registry> registry;
    const config::v1::Router& config;  // not kept
    const PoolCatalogue& catalogue;
    Store& store;
    const Clock& clock;
    Timers& timers;
    const BudgetPacer& pacer;
    const SharedWindowLedger* ledger = nullptr;  // null: budgets are this router's
    const SharedLoad* shared_load = nullptr;     // null: no other router has the store
    const DecisionLog& log;
  };
  explicit RouterTelemetry(const Deps& deps);

  void Start();
  // Sweeps must have ended. After this requests are counted, and nothing else is read.
  void Stop();

  // Where requests are told.
  RouteObserver& observer() { return *balance_; }
  void PlanMade(const Pool& pool, const AdmissionPlan& plan) { requests_.PlanMade(pool, plan); }
  // What is read rather than counted, a few times a second.
  void Swept(const std::vector<std::shared_ptr<const Pool>>& pools);
  // Another configuration, before its pools serve.
  void PoolsStaged(const config::v1::Router& next, const StagedPools& staged);

 private:
  const std::shared_ptr<prometheus::Registry> registry_;
  const PoolCatalogue& catalogue_;
  const Clock& clock_;
  const BudgetPacer& pacer_;
  const SharedWindowLedger* const ledger_;
  const SharedLoad* const shared_load_;
  const DecisionLog& log_;
  PoolLabels labels_;
  RouterMetrics requests_;
  GuardMetrics guards_;                      // passes on to `requests_`
  std::unique_ptr<BalanceMetrics> balance_;  // passes on to `guards_`
  std::shared_ptr<StoreMetrics> store_;
  ResilienceMetrics resilience_;
  BudgetStateMetrics budgets_;
  std::unique_ptr<BudgetMetrics> shared_budgets_;     // null: budgets are this router's
  std::unique_ptr<DecisionLogMetrics> decision_log_;  // null: there is no folder
};

}  // namespace penstock::router
