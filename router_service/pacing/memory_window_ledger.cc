#include "router_service/pacing/memory_window_ledger.h"

#include <algorithm>

namespace penstock::router {

WindowLedger::Counts* MemoryWindowLedger::Open(const std::string& key, const BudgetWindow& window) {
  if (window.start > latest_) {
    latest_ = window.start;
    if (forgotten_ > 0) Drop(latest_);
  }
  const auto budget = budgets_.find(key);
  if (budget == budgets_.end()) return nullptr;
  std::map<absl::Time, Counts>& windows = budget->second.windows;
  const auto found = windows.find(window.start);
  if (found != windows.end()) return &found->second;
  if (windows.size() >= kMostWindows) {
    if (window.start < windows.begin()->first) return nullptr;
    windows.erase(windows.begin());
  }
  return &windows[window.start];
}

void MemoryWindowLedger::Drop(absl::Time now) {
  for (auto it = budgets_.begin(); it != budgets_.end();) {
    const Kept& budget = it->second;
    const bool over =
        budget.forgotten &&
        (budget.windows.empty() ||
         budget.windows.rbegin()->first + (1 + budget.earlier) * budget.length <= now);
    if (over) --forgotten_;
    it = over ? budgets_.erase(it) : std::next(it);
  }
}

void MemoryWindowLedger::Keep(const std::string& key, absl::Duration length, int64_t, int earlier) {
  MutexLock lock(mutex_);
  Kept& budget = budgets_[key];
  if (budget.forgotten) --forgotten_;
  budget.forgotten = false;
  budget.length = length;
  budget.earlier = earlier;
}

void MemoryWindowLedger::Forget(const std::string& key) {
  MutexLock lock(mutex_);
  const auto budget = budgets_.find(key);
  if (budget == budgets_.end() || budget->second.forgotten) return;
  if (budget->second.windows.empty()) {
    budgets_.erase(budget);
    return;
  }
  budget->second.forgotten = true;
  ++forgotten_;
}

WindowAnswer MemoryWindowLedger::Reserve(const std::string& key, const BudgetWindow& window,
                                         int64_t amount, int64_t cap) {
  MutexLock lock(mutex_);
  const auto budget = budgets_.find(key);
  if (budget == budgets_.end() || budget->second.forgotten) return WindowAnswer::kCovered;
  Counts* const counts = Open(key, window);
  if (counts == nullptr) return WindowAnswer::kSpent;
  const int64_t left = cap == kNoCap ? kNoCap : cap - counts->Sum();
  if (left < std::max<int64_t>(amount, 1)) return WindowAnswer::kSpent;
  counts->reserved = SaturatedSum(counts->reserved, amount);
  return WindowAnswer::kCovered;
}

void MemoryWindowLedger::Settle(const std::string& key, const BudgetWindow& window,
                                int64_t reserved, int64_t spent) {
  MutexLock lock(mutex_);
  Counts* const counts = Open(key, window);
  if (counts == nullptr) return;
  // What came while the budget was forgotten was not reserved.
  counts->reserved -= std::min(reserved, counts->reserved);
  counts->settled = SaturatedSum(counts->settled, std::max<int64_t>(0, spent));
}

int64_t MemoryWindowLedger::Left(const std::string& key, const BudgetWindow& window,
                                 int64_t cap) const {
  MutexLock lock(mutex_);
  const auto budget = budgets_.find(key);
  if (budget == budgets_.end() || budget->second.forgotten) return cap;
  const auto found = budget->second.windows.find(window.start);
  return found == budget->second.windows.end() ? cap
                                               : std::max<int64_t>(0, cap - found->second.Sum());
}

WindowLedger::Counts MemoryWindowLedger::Count(const std::string& key,
                                               const BudgetWindow& window) const {
  MutexLock lock(mutex_);
  const auto budget = budgets_.find(key);
  if (budget == budgets_.end()) return {};
  const std::map<absl::Time, Counts>& windows = budget->second.windows;
  const auto found = windows.find(window.start);
  return found == windows.end() ? Counts() : found->second;
}

size_t MemoryWindowLedger::budgets() const {
  MutexLock lock(mutex_);
  return budgets_.size();
}

}  // namespace penstock::router
