#include "router_service/guards/principal_ledger.h"

#include <algorithm>
#include <cmath>

namespace penstock::router {
namespace {

// Of the multiplier's exponent: far beyond any decision, and a price times it stays finite.
constexpr double kMostExponent = 30;

}  // namespace

PrincipalLedger::PrincipalLedger(size_t capacity) : capacity_(std::max<size_t>(capacity, 2)) {}

PrincipalLedger::Charge PrincipalLedger::Open(absl::string_view principal, double rho_j) {
  Charge charge;
  if (!(rho_j > 0)) return charge;
  MutexLock lock(mutex_);
  Account& account = AccountOf(principal);
  ++account.in_flight;
  Place(account);
  charge.account_ = &account;
  charge.rho_j_ = rho_j;
  charge.terms_ = TermsOf(account, rho_j);
  return charge;
}

void PrincipalLedger::HoldLocked(Charge& charge, double energy_j) {
  charge.held_j_ += energy_j;
  // The allowance counts together with the joules: a request that holds nothing lends no credit.
  const double pending = charge.held_j_ > 0 ? charge.held_j_ / charge.rho_j_ - kAllowance : 0;
  charge.account_->pending += pending - charge.pending_;
  charge.account_->beyond += std::max(0.0, pending) - std::max(0.0, charge.pending_);
  charge.pending_ = pending;
}

void PrincipalLedger::Hold(Charge& charge, double energy_j) {
  if (charge.account_ == nullptr || energy_j == 0) return;
  MutexLock lock(mutex_);
  HoldLocked(charge, energy_j);
}

bool PrincipalLedger::TryHold(Charge& charge, double energy_j, double largest_j) {
  if (charge.account_ == nullptr) return true;
  MutexLock lock(mutex_);
  if (largest_j > LargestOf(*charge.account_, charge.rho_j_, charge.held_j_ == 0)) return false;
  HoldLocked(charge, energy_j);
  return true;
}

void PrincipalLedger::Settle(Charge& charge, double energy_j) {
  if (charge.account_ == nullptr) return;
  MutexLock lock(mutex_);
  const double taken = std::isfinite(energy_j) ? energy_j : charge.held_j_;
  double& credit = charge.account_->credit;
  credit = std::min(kDepth, credit + kAllowance - taken / charge.rho_j_);
  if (-credit > kSlack) charge.account_->passed = true;
  Close(charge);
}

void PrincipalLedger::Forget(Charge& charge) {
  if (charge.account_ == nullptr) return;
  MutexLock lock(mutex_);
  Close(charge);
}

void PrincipalLedger::Close(Charge& charge) {
  Account& account = *charge.account_;
  charge.account_ = nullptr;
  --account.in_flight;
  // A sum of many small differences ends where it began.
  account.pending = account.in_flight == 0 ? 0 : account.pending - charge.pending_;
  account.beyond =
      account.in_flight == 0 ? 0 : account.beyond - std::max(0.0, charge.pending_);
  Place(account);
}

PrincipalLedger::Terms PrincipalLedger::TermsOf(absl::string_view principal, double rho_j) const {
  MutexLock lock(mutex_);
  const auto it = by_name_.find(principal);
  if (it == by_name_.end() || !(rho_j > 0)) return {};
  return TermsOf(*it->second, rho_j);
}

double PrincipalLedger::LargestOf(const Charge& charge) const {
  if (charge.account_ == nullptr) return Terms().largest_j;
  MutexLock lock(mutex_);
  return LargestOf(*charge.account_, charge.rho_j_, charge.held_j_ == 0);
}

double PrincipalLedger::Credit(absl::string_view principal) const {
  MutexLock lock(mutex_);
  const auto it = by_name_.find(principal);
  return it == by_name_.end() ? 0 : it->second->credit;
}

size_t PrincipalLedger::principals() const {
  MutexLock lock(mutex_);
  return by_name_.size();
}

PrincipalLedger::Terms PrincipalLedger::TermsOf(const Account& account, double rho_j) const {
  Terms terms;
  // Two places at least: whoever has none is not alone either.
  if (by_name_.size() < 2) return terms;
  const double debt = std::max(0.0, account.pending - account.credit - kSlack);
  const double most = std::log(kNearMultiplier);
  const double near = std::min(debt / kWidth, most);
  const double far = std::max(0.0, debt - kFarDebt) / kFarWidth;
  terms.multiplier = std::exp(std::min(near + far, kMostExponent));
  if (near >= most) terms.headroom_j = kFitting * rho_j;
  terms.largest_j = LargestOf(account, rho_j, true);
  return terms;
}

double PrincipalLedger::LargestOf(const Account& account, double rho_j, bool first) const {
  const double owed = account.beyond - account.credit;
  if (by_name_.size() < 2 || !(account.passed || owed > kSlack)) return Terms().largest_j;
  return rho_j * ((first ? kAllowance : 0) + std::max(0.0, kMostOwed - owed));
}

PrincipalLedger::Account& PrincipalLedger::AccountOf(absl::string_view principal) {
  const auto known = by_name_.find(principal);
  if (known != by_name_.end()) return *known->second;
  if (by_name_.size() >= capacity_) {
    if (evictable_.empty()) return shared_;
    by_name_.erase(evictable_.front().principal);
    evictable_.pop_front();
  }
  kept_.emplace_back();
  Account& account = kept_.back();
  account.principal = std::string(principal);
  account.at = std::prev(kept_.end());
  account.credit = std::min(0.0, shared_.credit);
  shared_.credit -= account.credit;
  account.passed = account.credit < 0 && shared_.passed;
  if (account.passed) shared_.passed = false;
  by_name_.emplace(account.principal, &account);
  return account;
}

void PrincipalLedger::Place(Account& account) {
  if (&account == &shared_) return;
  Accounts& from = account.evictable ? evictable_ : kept_;
  account.evictable = account.in_flight == 0 && account.credit >= 0;
  Accounts& to = account.evictable ? evictable_ : kept_;
  to.splice(to.end(), from, account.at);
}

}  // namespace penstock::router
