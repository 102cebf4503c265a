#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "router_service/metrics/pool_labels.h"
#include "router_service/pacing/budget_standing.h"

namespace prometheus {
class Registry;
}  // namespace prometheus

namespace penstock::router {

// Every budget in force, of the configuration or set by call, shared or not; those of pools beyond
// what `labels` tells are left out. Not thread-safe.
class BudgetStateMetrics {
 public:
  // The first that come; a budget beyond is told once one of them is gone.
  static constexpr size_t kMostBudgets = 1000;

  // Both outlive this.
  BudgetStateMetrics(prometheus::Registry& registry, PoolLabels& labels);
  ~BudgetStateMetrics();

  // All of them, as they are now. Those that are not there any more leave no gauge behind.
  void Update(const std::vector<BudgetStanding>& budgets);

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace penstock::router
