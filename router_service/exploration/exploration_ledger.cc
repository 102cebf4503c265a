#include "router_service/exploration/exploration_ledger.h"

#include <algorithm>

namespace penstock::router {

ExplorationLedger::Account& ExplorationLedger::Of(absl::string_view tenant) {
  const auto found = accounts_.find(tenant);
  if (found != accounts_.end()) return found->second;
  if (accounts_.size() >= kTenants) return shared_;
  return accounts_[std::string(tenant)];
}

void ExplorationLedger::Accrue(absl::string_view tenant, double joules) {
  if (!(joules > 0)) return;
  Account& account = Of(tenant);
  account.requests = std::min(account.requests + 1, kDepth);
  account.mean_j += (joules - account.mean_j) / account.requests;
  account.credit_j = std::min(account.credit_j + share_ * joules, share_ * kDepth * account.mean_j);
  accrued_j_ += joules;
}

double ExplorationLedger::credit(absl::string_view tenant) const {
  const auto found = accounts_.find(tenant);
  if (found != accounts_.end()) return found->second.credit_j;
  return accounts_.size() >= kTenants ? shared_.credit_j : 0;
}

void ExplorationLedger::Pay(absl::string_view tenant, double joules) {
  if (!(joules > 0)) return;
  Of(tenant).credit_j -= joules;
  paid_j_ += joules;
}

void ExplorationLedger::Refund(absl::string_view tenant, double joules) {
  if (!(joules > 0)) return;
  Account& account = Of(tenant);
  account.credit_j = std::min(account.credit_j + joules, share_ * kDepth * account.mean_j);
  paid_j_ -= joules;
}

}  // namespace penstock::router
