#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "common/mutex.h"
#include "router_service/pacing/window_ledger.h"

namespace penstock::router {

// Of one process: all that a window has is this router's. Thread-safe.
class MemoryWindowLedger final : public WindowLedger {
 public:
  // Windows of one budget; beyond, the oldest are dropped, and what is settled in them later is not
  // counted: their time is over.
  static constexpr size_t kMostWindows = 64;

  void Keep(const std::string& key, absl::Duration length, int64_t cap, int earlier) override;
  void Forget(const std::string& key) override;
  WindowAnswer Reserve(const std::string& key, const BudgetWindow& window, int64_t amount,
                       int64_t cap) override;
  void Settle(const std::string& key, const BudgetWindow& window, int64_t reserved,
              int64_t spent) override;
  int64_t Left(const std::string& key, const BudgetWindow& window, int64_t cap) const override;
  Counts Count(const std::string& key, const BudgetWindow& window) const override;

  size_t budgets() const;  // forgotten ones that still know what was spent, too

 private:
  struct Kept {
    bool forgotten = false;
    absl::Duration length;
    int earlier = 0;
    std::map<absl::Time, Counts> windows;  // by start
  };
  // Null: it is too old, or nobody ever kept the budget.
  Counts* Open(const std::string& key, const BudgetWindow& window)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Forgotten ones whose windows are over by then.
  void Drop(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable Mutex mutex_;
  std::map<std::string, Kept> budgets_ ABSL_GUARDED_BY(mutex_);
  size_t forgotten_ ABSL_GUARDED_BY(mutex_) = 0;
  // Of all budgets: the latest start of a window.
  absl::Time latest_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
};

}  // namespace penstock::router
