#pragma once

#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "router_service/metrics/pool_labels.h"
#include "router_service/pacing/leasing/shared_window_ledger.h"

namespace prometheus {
class Registry;
}  // namespace prometheus

namespace penstock::router {

// What this router holds of the budgets that routers share, and whether the store answers, which is
// logged when it changes. Labels are of budgets that are set, 256 at most, of pools that `labels`
// tells. Not thread-safe.
class BudgetMetrics {
 public:
  // Both outlive this.
  BudgetMetrics(prometheus::Registry& registry, PoolLabels& labels);
  ~BudgetMetrics();

  // All of them, as they are now. Those that are not there any more leave no gauge behind.
  void Update(const std::vector<SharedWindowLedger::Figures>& budgets);

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace penstock::router
