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

absl::Status StoreWindowLedger::CheckStore(absl::string_view uri) {
  if (uri.empty() || uri == "memory://") return absl::OkStatus();
  const std::string scheme(uri.substr(0, uri.find("://")));
  if (scheme.size() == uri.size()) {
    return absl::InvalidArgumentError("store: wanted an address with a scheme, say memory://");
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "store: ", scheme, ":// keeps no budgets, wanted memory:// or nothing"));
}

double StoreWindowLedger::Add(const std::string& key, const BudgetWindow& window, double amount) {
  // Kept for one window more, for requests that give back late.
  const auto total = store_.AddNow(Name(key), Number(window), std::llround(amount * kMillionths),
                                   2 * window.length);
  return total.ok() ? static_cast<double>(*total) / kMillionths : 0;
}

bool StoreWindowLedger::TryAdd(const std::string& key, const BudgetWindow& window, double amount,
                               double limit) {
  if (Add(key, window, amount) <= limit) return true;
  Add(key, window, -amount);
  return false;
}

double StoreWindowLedger::Total(const std::string& key, const BudgetWindow& window) const {
  const auto total = store_.ReadNow(Name(key), Number(window));
  return total.ok() ? static_cast<double>(*total) / kMillionths : 0;
}

}  // namespace penstock::router
