#include "router_service/pacing/memory_window_ledger.h"

#include <algorithm>

namespace penstock::router {

WindowLedger::Counts* MemoryWindowLedger::Open(const std::string& key, const BudgetWindow& window) {
  const auto budget = budgets_.find(key);
  if (budget == budgets_.end()) return nullptr;
  Windows& windows = budget->second;
  const auto found = windows.find(window.start);
  if (found != windows.end()) return &found->second;
  if (windows.size() >= kMostWindows) {
    if (window.start < windows.begin()->first) return nullptr;
    windows.erase(windows.begin());
  }
  return &windows[window.start];
}

void MemoryWindowLedger::Keep(const std::string& key, absl::Duration, int64_t, int) {
  MutexLock lock(mutex_);
  budgets_.try_emplace(key);
}

void MemoryWindowLedger::Forget(const std::string& key) {
  MutexLock lock(mutex_);
  budgets_.erase(key);
}

WindowAnswer MemoryWindowLedger::Reserve(const std::string& key, const BudgetWindow& window,
                                         int64_t amount, int64_t cap) {
  MutexLock lock(mutex_);
  if (budgets_.count(key) == 0) return WindowAnswer::kCovered;  // it binds nobody any more
  Counts* const counts = Open(key, window);
  if (counts == nullptr) return WindowAnswer::kSpent;
  const int64_t left = cap - counts->settled - counts->reserved;
  if (left < std::max<int64_t>(amount, 1)) return WindowAnswer::kSpent;
  counts->reserved += amount;
  return WindowAnswer::kCovered;
}

void MemoryWindowLedger::Settle(const std::string& key, const BudgetWindow& window,
                                int64_t reserved, int64_t spent) {
  MutexLock lock(mutex_);
  Counts* const counts = Open(key, window);
  if (counts == nullptr) return;
  // A budget that was forgotten and came back knows nothing of what was reserved before.
  counts->reserved -= std::min(reserved, counts->reserved);
  counts->settled += spent;
}

int64_t MemoryWindowLedger::Left(const std::string& key, const BudgetWindow& window,
                                 int64_t cap) const {
  const Counts counts = Count(key, window);
  return std::max<int64_t>(0, cap - counts.settled - counts.reserved);
}

WindowLedger::Counts MemoryWindowLedger::Count(const std::string& key,
                                               const BudgetWindow& window) const {
  MutexLock lock(mutex_);
  const auto budget = budgets_.find(key);
  if (budget == budgets_.end()) return {};
  const auto found = budget->second.find(window.start);
  return found == budget->second.end() ? Counts() : found->second;
}

}  // namespace penstock::router
