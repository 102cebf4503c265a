#pragma once

#include <string>

#include "common/store/store.h"
#include "router_service/pacing/window_budget.h"

namespace penstock::router {

// Windows in a Store, as counters of millionths. A store that does not answer limits nothing: a
// request is not refused because a count cannot be read. The store must not block: common/store's
// are in memory, or mirror what they share. Thread-safe.
class StoreWindowLedger final : public WindowLedger {
 public:
  explicit StoreWindowLedger(Store& store) : store_(store) {}

  double Add(const std::string& key, const BudgetWindow& window, double amount) override;
  // Adds first and takes back what goes over: of several that come at once none can go over
  // together, but one that would fit may be refused.
  bool TryAdd(const std::string& key, const BudgetWindow& window, double amount,
              double limit) override;
  double Total(const std::string& key, const BudgetWindow& window) const override;

 private:
  Store& store_;
};

}  // namespace penstock::router
