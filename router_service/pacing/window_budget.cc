#include "router_service/pacing/window_budget.h"

#include <algorithm>
#include <cmath>

#include "router_service/pacing/budget_period.h"

namespace penstock::router {
namespace {

constexpr double kMillionths = 1e6;
// As long as a credit lasts that a time without spending leaves behind, so that two windows never
// bind before the credit of one router alone.
constexpr absl::Duration kRateWindow = absl::Minutes(10);
// Beyond, budgets are as good as without an end: sums of several stay in 64 bits.
constexpr int64_t kMostUnits = int64_t{1} << 60;

bool BySecond(const config::v1::Budget& budget) {
  return budget.per() == config::v1::Budget::SECOND;
}

}  // namespace

WindowBudget::WindowBudget(const Clock& clock, WindowLedger& ledger, std::string key,
                           const config::v1::Budget& budget)
    : clock_(clock),
      ledger_(ledger),
      key_(std::move(key)),
      resource_(budget.resource()),
      by_second_(BySecond(budget)),
      length_(is_rate() ? kRateWindow : PeriodLength(budget.per())),
      amount_(budget.amount()),
      hard_(budget.hard()) {
  ledger_.Keep(key_, length_, cap(), is_rate() ? 1 : 0);
}

bool WindowBudget::is_rate() const { return by_second_ && !counts_requests(); }

int64_t WindowBudget::Units(double amount) const {
  const double units = counts_requests() ? std::floor(amount) : std::round(amount * kMillionths);
  return static_cast<int64_t>(std::clamp(units, 0.0, static_cast<double>(kMostUnits)));
}

double WindowBudget::Amount(int64_t units) const {
  return static_cast<double>(units) / (counts_requests() ? 1 : kMillionths);
}

int64_t WindowBudget::cap() const {
  if (!hard_) return WindowLedger::kNoCap;
  if (!is_rate()) return Units(amount_);
  MutexLock lock(mutex_);
  return Units(std::max(0.0, amount_ - idle_watts_) * absl::ToDoubleSeconds(length_));
}

void WindowBudget::SetIdleWatts(double watts) {
  {
    MutexLock lock(mutex_);
    if (idle_watts_ == watts) return;
    idle_watts_ = watts;
  }
  if (is_rate()) ledger_.Keep(key_, length_, cap(), 1);
}

WindowAnswer WindowBudget::Take(Hold& hold) {
  if (!counts_requests()) return Ask();
  const Part part{Window(), 1};
  WindowAnswer answer = ledger_.Reserve(key_, part.window, part.amount, cap());
  if (Covers(answer)) hold.push_back(part);
  if (hard_) return answer;
  const WindowLedger::Counts counts = ledger_.Count(key_, part.window);
  const bool fits = counts.Sum() <= Units(amount_);
  return fits ? answer : WindowAnswer::kSpent;
}

WindowAnswer WindowBudget::Ask() const {
  const BudgetWindow window = Window();
  if (hard_) {
    WindowAnswer answer = WindowAnswer::kSpent;
    if (is_rate()) answer = ledger_.Reserve(key_, window.Before(), 0, cap());
    return Covers(answer) ? answer : ledger_.Reserve(key_, window, 0, cap());
  }
  // Of requests a whole one is left then; what the others will take is not known before.
  const WindowLedger::Counts counts = ledger_.Count(key_, window);
  return counts.Sum() < Units(amount_) ? WindowAnswer::kCovered : WindowAnswer::kSpent;
}

WindowAnswer WindowBudget::Reserve(double amount, Hold& hold) {
  Part part{Window(), Units(amount)};
  if (part.amount == 0) return WindowAnswer::kCovered;
  if (is_rate()) {
    const Part earlier{part.window.Before(), part.amount};
    const WindowAnswer answer = ledger_.Reserve(key_, earlier.window, earlier.amount, cap());
    if (Covers(answer)) {
      hold.push_back(earlier);
      return answer;
    }
  }
  const WindowAnswer answer = ledger_.Reserve(key_, part.window, part.amount, cap());
  if (Covers(answer)) hold.push_back(part);
  return answer;
}

void WindowBudget::GiveBack(Hold& hold, size_t but) {
  for (; hold.size() > but; hold.pop_back()) {
    ledger_.Settle(key_, hold.back().window, hold.back().amount, 0);
  }
}

void WindowBudget::Settle(Hold& hold, double spent) {
  int64_t left = counts_requests() ? static_cast<int64_t>(hold.size()) : Units(spent);
  if (hold.empty() && left > 0) ledger_.Settle(key_, Window(), 0, left);
  for (size_t i = 0; i < hold.size(); ++i) {
    // What it took beyond all of them is the last one's.
    const int64_t of_part = i + 1 < hold.size() ? std::min(left, hold[i].amount) : left;
    ledger_.Settle(key_, hold[i].window, hold[i].amount, of_part);
    left -= of_part;
  }
  hold.clear();
}

double WindowBudget::Left() const {
  const BudgetWindow window = Window();
  int64_t left = ledger_.Left(key_, window, cap());
  if (is_rate()) left = std::max(left, ledger_.Left(key_, window.Before(), cap()));
  return Amount(left);
}

double WindowBudget::spent() const {
  const WindowLedger::Counts counts = ledger_.Count(key_, Window());
  // A request counts when it comes.
  return Amount(counts_requests() ? counts.Sum() : counts.settled);
}

double WindowBudget::remaining() const {
  const WindowLedger::Counts counts = ledger_.Count(key_, Window());
  return std::max(0.0, amount_ - Amount(counts.Sum()));
}

double WindowBudget::RemainingAt(absl::Time now, const WindowLedger& ledger) const {
  const WindowLedger::Counts counts = ledger.Count(key_, BudgetWindow::At(now, length_));
  return std::max(0.0, amount_ - Amount(counts.Sum()));
}

absl::Duration WindowBudget::window_left() const {
  const absl::Time now = clock_.Now();
  return BudgetWindow::At(now, length_).end() - now;
}

}  // namespace penstock::router
