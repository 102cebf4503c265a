#include "router_service/pacing/window_budget.h"

#include <algorithm>
#include <limits>

#include "router_service/pacing/budget_period.h"

namespace penstock::router {

BudgetWindow BudgetWindow::At(absl::Time now, absl::Duration length) {
  const absl::Duration since = now - absl::UnixEpoch();
  return {absl::UnixEpoch() + absl::Floor(since, length), length};
}

MemoryWindowLedger::Cell* MemoryWindowLedger::Open(const std::string& key,
                                                   const BudgetWindow& window) {
  auto [it, added] = cells_.try_emplace(key, Cell{window.start, 0});
  if (it->second.start > window.start) return nullptr;
  if (it->second.start < window.start) it->second = {window.start, 0};
  return &it->second;
}

double MemoryWindowLedger::Add(const std::string& key, const BudgetWindow& window, double amount) {
  MutexLock lock(mutex_);
  Cell* cell = Open(key, window);
  if (cell == nullptr) return 0;
  cell->total += amount;
  return cell->total;
}

bool MemoryWindowLedger::TryAdd(const std::string& key, const BudgetWindow& window, double amount,
                                double limit) {
  MutexLock lock(mutex_);
  Cell* cell = Open(key, window);
  if (cell == nullptr || cell->total + amount > limit) return false;
  cell->total += amount;
  return true;
}

double MemoryWindowLedger::Total(const std::string& key, const BudgetWindow& window) const {
  MutexLock lock(mutex_);
  const auto it = cells_.find(key);
  return it == cells_.end() || it->second.start != window.start ? 0 : it->second.total;
}

WindowBudget::WindowBudget(const Clock& clock, WindowLedger& ledger, std::string key,
                           const config::v1::Budget& budget)
    : clock_(clock),
      ledger_(ledger),
      key_(std::move(key)),
      resource_(budget.resource()),
      length_(PeriodLength(budget.per())),
      amount_(budget.amount()),
      hard_(budget.hard()) {}

BudgetWindow WindowBudget::Window() const { return BudgetWindow::At(clock_.Now(), length_); }

bool WindowBudget::Take(Hold& hold) {
  hold = {Window(), 0};
  if (!counts_requests()) return !spent_up();
  if (hard_ && !ledger_.TryAdd(key_, hold.window, 1, amount_)) return false;
  hold.amount = 1;
  if (hard_) return true;
  return ledger_.Add(key_, hold.window, 1) <= amount_;
}

void WindowBudget::GiveBack(const Hold& hold) {
  if (hold.amount > 0) ledger_.Add(key_, hold.window, -hold.amount);
}

void WindowBudget::Spend(double amount) {
  if (amount > 0) ledger_.Add(key_, Window(), amount);
}

bool WindowBudget::spent_up() const {
  // A request needs a whole one; what the others will take is not known before.
  const double total = spent();
  return counts_requests() ? total + 1 > amount_ : total >= amount_;
}

double WindowBudget::spent() const { return ledger_.Total(key_, Window()); }

double WindowBudget::remaining() const { return std::max(0.0, amount_ - spent()); }

absl::Duration WindowBudget::window_left() const {
  const absl::Time now = clock_.Now();
  return BudgetWindow::At(now, length_).end() - now;
}

}  // namespace penstock::router
