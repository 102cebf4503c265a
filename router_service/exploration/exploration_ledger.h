#pragma once

#include <cstddef>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"

namespace penstock::router {

// Joules that exploration may still take, by tenant: a share of what the tenant's requests are
// predicted to take accrues, the premium over the choice without exploration is paid. A tenant's
// budget, a pool's, the platform's: of each of them no more than the share goes to exploration,
// because of each tenant's joules no more does. What accrues unspent is bounded by that of kDepth
// mean requests, so that it cannot all go at one budget's cost later. Not thread-safe.
class ExplorationLedger {
 public:
  static constexpr double kDepth = 1000;
  // Tenants beyond share one account.
  static constexpr size_t kTenants = 4096;

  explicit ExplorationLedger(double share) : share_(share) {}

  // A request that takes `joules` without exploration.
  void Accrue(absl::string_view tenant, double joules);
  double credit(absl::string_view tenant) const;
  // `joules` <= credit; below 0 it costs nothing and earns nothing.
  void Pay(absl::string_view tenant, double joules);
  // What was paid for a request that went elsewhere.
  void Refund(absl::string_view tenant, double joules);

  double accrued_j() const { return accrued_j_; }  // joules that a share was taken of
  double paid_j() const { return paid_j_; }

 private:
  struct Account {
    double credit_j = 0;
    double mean_j = 0;
    double requests = 0;
  };
  Account& Of(absl::string_view tenant);

  const double share_;
  absl::flat_hash_map<std::string, Account> accounts_;
  Account shared_;
  double accrued_j_ = 0;
  double paid_j_ = 0;
};

}  // namespace penstock::router
