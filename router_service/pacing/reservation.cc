#include "router_service/pacing/reservation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace penstock::router {

Reservation& Reservation::operator=(Reservation&& other) noexcept {
  if (this != &other) {
    Release();
    order_ = std::move(other.order_);
    request_ = other.request_;
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
  PacerOperation operation(order_.get());
  if (operation.event() != nullptr) operation.event()->mutable_release()->set_request(request_);
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

double Reservation::price() const {
  double price = 0;
  for (size_t i = 0; i < budgets_->joules.size(); ++i) {
    price += budgets_->joules[i]->price() * Multiplier(i);
  }
  return price;
}

double Reservation::headroom() const {
  if (soft_window_spent_) return 0;
  double headroom = std::numeric_limits<double>::infinity();
  for (const auto& budget : budgets_->joules) headroom = std::min(headroom, budget->Headroom());
  return headroom;
}

BudgetTerms Reservation::terms() const {
  BudgetTerms terms;
  if (budgets_ == nullptr) return terms;
  PacerOperation operation(order_.get());
  terms.price_per_joule = price();
  double shared = 0;
  for (size_t i = 0; i < charges_.size(); ++i) shared += budgets_->joules[i]->price();
  if (shared > 0) terms.price_multiplier = terms.price_per_joule / shared;
  terms.headroom_j = headroom();
  terms.sequence = operation.sequence();
  if (operation.event() != nullptr) {
    v1::PriceView& view = *operation.event()->mutable_view();
    view.set_request(request_);
    view.set_price_per_joule(terms.price_per_joule);
    view.set_price_multiplier(terms.price_multiplier);
    view.set_headroom_j(terms.headroom_j);
  }
  return terms;
}

void Reservation::HoldCharges(double energy_j) {
  for (size_t i = 0; i < charges_.size(); ++i) {
    if (budgets_->ledgers[i] != nullptr) budgets_->ledgers[i]->Hold(charges_[i], energy_j);
  }
}

bool Reservation::cheapest_only() const { return headroom_j() <= 0; }

void Reservation::Hold(double energy_j) {
  if (budgets_ == nullptr || !(energy_j > 0)) return;
  PacerOperation operation(order_.get());
  if (operation.event() != nullptr) {
    v1::JouleHold& hold = *operation.event()->mutable_hold();
    hold.set_request(request_);
    hold.set_energy_j(energy_j);
  }
  HoldNow(energy_j);
}

void Reservation::HoldNow(double energy_j) {
  for (const auto& budget : budgets_->joules) budget->Hold(energy_j);
  HoldCharges(energy_j);
  if (held_j_ == 0) first_hold_j_ = energy_j;
  held_j_ += energy_j;
}

bool Reservation::TryHold(double energy_j) {
  if (budgets_ == nullptr || !(energy_j > 0)) return true;
  PacerOperation operation(order_.get());
  const bool held = TryHoldNow(energy_j);
  if (operation.event() != nullptr) {
    v1::JouleHold& hold = *operation.event()->mutable_hold();
    hold.set_request(request_);
    hold.set_energy_j(energy_j);
    hold.set_kind(v1::JouleHold::IF_COVERED);
    hold.set_refused(!held);
  }
  return held;
}

bool Reservation::TryHoldNow(double energy_j) {
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
  PacerOperation operation(order_.get());
  if (operation.event() != nullptr) {
    v1::JouleHold& hold = *operation.event()->mutable_hold();
    hold.set_request(request_);
    hold.set_energy_j(energy_j);
    hold.set_kind(v1::JouleHold::METERED);
  }
  if (!(first_hold_j_ > 0)) {
    HoldNow(energy_j);
    return;
  }
  const double step = first_hold_j_ / 2;
  const double steps = std::ceil((energy_j - held_j_) / step);
  HoldNow(steps * step);
  metered_j_ += steps * step;
}

void Reservation::RecordDecision(double sunk_j, absl::Span<const PricedOption> options, size_t k,
                                 bool follow_up) {
  for (DueLevel& level : NoteOptions(sunk_j, options, k, follow_up)) level.Find();
}

std::vector<DueLevel> Reservation::NoteOptions(double sunk_j,
                                               absl::Span<const PricedOption> options, size_t k,
                                               bool follow_up) {
  std::vector<DueLevel> due;
  const BudgetSet* const budgets = budgets_ != nullptr ? budgets_.get() : settled_.get();
  if (budgets == nullptr || budgets->joules.empty()) return due;
  PacerOperation operation(order_.get());
  if (operation.event() != nullptr) {
    v1::OptionsNoted& noted = *operation.event()->mutable_options();
    noted.set_request(request_);
    noted.set_sunk_j(sunk_j);
    for (const PricedOption& option : options) {
      noted.add_worth(option.quality);
      noted.add_energy_j(option.energy_j);
    }
    noted.set_max_experts(static_cast<uint32_t>(k));
    noted.set_follow_up(follow_up);
  }
  double total = 0;
  for (size_t i = 0; i < budgets->joules.size(); ++i) {
    total += budgets->joules[i]->price() * Multiplier(i);
  }
  std::vector<PricedOption> repriced;
  for (size_t i = 0; i < budgets->joules.size(); ++i) {
    JouleBudget& budget = *budgets->joules[i];
    const double multiplier = Multiplier(i);
    const double others = std::max(0.0, total - budget.price() * multiplier);
    bool level_is_due = false;
    if (multiplier == 1) {
      level_is_due = budget.Note(DecisionTable(sunk_j, options, k, others, follow_up));
    } else {
      // value - (m l + others) j orders options as value / m - (l + others / m) j does: the level
      // is solved for knowing that this one will pay m times it.
      repriced.assign(options.begin(), options.end());
      for (PricedOption& option : repriced) option.quality /= multiplier;
      level_is_due =
          budget.Note(DecisionTable(sunk_j, repriced, k, others / multiplier, follow_up));
    }
    if (level_is_due) {
      due.emplace_back(budgets->joules[i], order_, operation.sequence(),
                       static_cast<uint32_t>(due.size()));
    }
  }
  return due;
}

double DueLevel::Find() {
  const PriceLevel::Solution solution = budget_->Solve();
  PacerOperation operation(order_.get());
  budget_->Adopt(solution);
  const double price = budget_->price();
  if (operation.event() != nullptr) {
    v1::LevelAdopted& level = *operation.event()->mutable_level();
    level.set_options(options_);
    level.set_which(which_);
    level.set_price_per_joule(price);
  }
  return price;
}

void Reservation::Settle(const Usage& usage) {
  if (budgets_ == nullptr) return;
  PacerOperation operation(order_.get());
  if (operation.event() != nullptr) {
    v1::RequestSettle& settle = *operation.event()->mutable_settle();
    settle.set_request(request_);
    settle.set_energy_j(usage.energy_j);
    settle.set_accelerator_seconds(usage.accelerator_seconds);
    settle.set_dollars(usage.dollars);
  }
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
