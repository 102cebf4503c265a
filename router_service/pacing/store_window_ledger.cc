#include "router_service/pacing/store_window_ledger.h"

#include <cmath>

#include "absl/strings/str_cat.h"

namespace penstock::router {
namespace {

constexpr double kMillionths = 1e6;

int64_t Number(const BudgetWindow& window) {
  return (window.start - absl::UnixEpoch()) / window.length;
}

std::string Name(const std::string& key) { return absl::StrCat("budget/", key); }

}  // namespace

double StoreWindowLedger::Add(const std::string& key, const BudgetWindow& window, double amount) {
  // Kept for one window more, for requests that give back late.
  const auto total =
      store_.Add(Name(key), Number(window), std::llround(amount * kMillionths), 2 * window.length);
  return total.ok() ? static_cast<double>(*total) / kMillionths : 0;
}

bool StoreWindowLedger::TryAdd(const std::string& key, const BudgetWindow& window, double amount,
                               double limit) {
  if (Add(key, window, amount) <= limit) return true;
  Add(key, window, -amount);
  return false;
}

double StoreWindowLedger::Total(const std::string& key, const BudgetWindow& window) const {
  const auto total = store_.Get(Name(key), Number(window));
  return total.ok() ? static_cast<double>(*total) / kMillionths : 0;
}

}  // namespace penstock::router
