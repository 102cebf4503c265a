#include "router_service/pacing/reservation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace penstock::router {

Reservation& Reservation::operator=(Reservation&& other) noexcept {
  if (this != &other) {
    Release();
    budgets_ = std::move(other.budgets_);
    settled_ = std::move(other.settled_);
    windows_ = std::move(other.windows_);
    charges_ = std::move(other.charges_);
    held_j_ = other.held_j_;
    first_hold_j_ = other.first_hold_j_;
    metered_j_ = other.metered_j_;
    soft_window_spent_ = other.soft_window_spent_;
  }
  return *this;
}

Reservation::~Reservation() { Release(); }

void Reservation::Release() {
  if (budgets_ == nullptr) return;
  for (const auto& budget : budgets_->joules) {
    budget->GiveBack(held_j_);
    budget->Forget();
  }
  for (size_t i = 0; i < windows_.size(); ++i) budgets_->windows[i]->GiveBack(windows_[i]);
  for (size_t i = 0; i < charges_.size(); ++i) {
    if (budgets_->ledgers[i] != nullptr) budgets_->ledgers[i]->Forget(charges_[i]);
  }
  budgets_ = nullptr;
}

double Reservation::price_per_joule() const {
  double price = 0;
  if (budgets_ == nullptr) return price;
  for (size_t i = 0; i < budgets_->joules.size(); ++i) {
    price += budgets_->joules[i]->price() * Multiplier(i);
  }
  return price;
}

double Reservation::price_multiplier() const {
  double shared = 0;
  double own = 0;
  for (size_t i = 0; i < charges_.size() && budgets_ != nullptr; ++i) {
    const double price = budgets_->joules[i]->price();
    shared += price;
    own += price * Multiplier(i);
  }
  return shared > 0 ? own / shared : 1;
}

void Reservation::HoldCharges(double energy_j) {
  for (size_t i = 0; i < charges_.size(); ++i) {
    if (budgets_->ledgers[i] != nullptr) budgets_->ledgers[i]->Hold(charges_[i], energy_j);
  }
}

double Reservation::headroom_j() const {
  double headroom = std::numeric_limits<double>::infinity();
  if (budgets_ == nullptr) return headroom;
  if (soft_window_spent_) return 0;
  for (const auto& budget : budgets_->joules) headroom = std::min(headroom, budget->Headroom());
  return headroom;
}

bool Reservation::cheapest_only() const { return headroom_j() <= 0; }

void Reservation::Hold(double energy_j) {
  if (budgets_ == nullptr || !(energy_j > 0)) return;
  for (const auto& budget : budgets_->joules) budget->Hold(energy_j);
  HoldCharges(energy_j);
  if (held_j_ == 0) first_hold_j_ = energy_j;
  held_j_ += energy_j;
}

bool Reservation::TryHold(double energy_j) {
  if (budgets_ == nullptr || !(energy_j > 0)) return true;
  if (soft_window_spent_) return false;
  const auto& joules = budgets_->joules;
  for (size_t i = 0; i < joules.size(); ++i) {
    if (joules[i]->TryHold(energy_j)) continue;
    while (i-- > 0) joules[i]->GiveBack(energy_j);
    return false;
  }
  HoldCharges(energy_j);
  if (held_j_ == 0) first_hold_j_ = energy_j;
  held_j_ += energy_j;
  return true;
}

void Reservation::Metered(double energy_j) {
  if (budgets_ == nullptr || !(energy_j > held_j_)) return;
  if (!(first_hold_j_ > 0)) {
    Hold(energy_j);
    return;
  }
  const double step = first_hold_j_ / 2;
  const double steps = std::ceil((energy_j - held_j_) / step);
  Hold(steps * step);
  metered_j_ += steps * step;
}

void Reservation::RecordDecision(double sunk_j, absl::Span<const PricedOption> options, size_t k,
                                 bool follow_up) {
  const BudgetSet* const budgets = budgets_ != nullptr ? budgets_.get() : settled_.get();
  if (budgets == nullptr) return;
  double total = 0;
  for (size_t i = 0; i < budgets->joules.size(); ++i) {
    total += budgets->joules[i]->price() * Multiplier(i);
  }
  std::vector<PricedOption> repriced;
  for (size_t i = 0; i < budgets->joules.size(); ++i) {
    JouleBudget& budget = *budgets->joules[i];
    const double multiplier = Multiplier(i);
    const double others = std::max(0.0, total - budget.price() * multiplier);
    if (multiplier == 1) {
      budget.Record(DecisionTable(sunk_j, options, k, others, follow_up));
      continue;
    }
    // value - (m l + others) j orders options as value / m - (l + others / m) j does: the level is solved
    // for knowing that this one will pay m times it.
    repriced.assign(options.begin(), options.end());
    for (PricedOption& option : repriced) option.quality /= multiplier;
    budget.Record(DecisionTable(sunk_j, repriced, k, others / multiplier, follow_up));
  }
}

void Reservation::Settle(const Usage& usage) {
  if (budgets_ == nullptr) return;
  for (const auto& budget : budgets_->joules) {
    budget->Settle(held_j_, usage.energy_j, held_j_ - metered_j_);
  }
  for (size_t i = 0; i < charges_.size(); ++i) {
    if (budgets_->ledgers[i] != nullptr) budgets_->ledgers[i]->Settle(charges_[i], usage.energy_j);
  }
  for (const auto& budget : budgets_->windows) {
    switch (budget->resource()) {
      case config::v1::Budget::ACCELERATOR_SECONDS:
        budget->Spend(usage.accelerator_seconds);
        break;
      case config::v1::Budget::DOLLARS:
        budget->Spend(usage.dollars);
        break;
      default:  // requests were counted when they came
        break;
    }
  }
  settled_ = std::move(budgets_);
}

}  // namespace penstock::router
