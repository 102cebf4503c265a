#pragma once

#include <string>

#include "absl/status/status.h"
#include "common/store/memory_store.h"
#include "router_service/pacing/window_budget.h"

namespace penstock::router {

// Windows in a store of this process, as counters of millionths. A store that is full limits
// nothing: a request is not refused because a count cannot be kept. Thread-safe.
class StoreWindowLedger final : public WindowLedger {
 public:
  explicit StoreWindowLedger(MemoryStore& store) : store_(store) {}
  // INVALID_ARGUMENT for a store that is not in memory: a request waits for no server.
  static absl::Status CheckStore(absl::string_view uri);

  double Add(const std::string& key, const BudgetWindow& window, double amount) override;
  // Adds first and takes back what goes over: of several that come at once none can go over
  // together, but one that would fit may be refused.
  bool TryAdd(const std::string& key, const BudgetWindow& window, double amount,
              double limit) override;
  double Total(const std::string& key, const BudgetWindow& window) const override;

 private:
  MemoryStore& store_;
};

}  // namespace penstock::router
