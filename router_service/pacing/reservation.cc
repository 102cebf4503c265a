#include "router_service/pacing/reservation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "router_service/pacing/window_refusal.h"

namespace penstock::router {
namespace {

// What a request is expected to take of what a window counts; requests are counted when they come.
double AmountFor(const WindowBudget& window, const Amounts& amounts) {
  for (const Resource resource : {Resource::kJoules, kOtherResources[0], kOtherResources[1]}) {
    if (window.resource() == ConfigOf(resource)) return amounts[resource];
  }
  return 0;
}

bool None(const Amounts& amounts) {
  return !(amounts.energy_j > 0) && !(amounts.accelerator_seconds > 0) && !(amounts.dollars > 0);
}

template <typename To>
void WriteOthers(const Amounts& amounts, To& to) {
  for (const Resource resource : kOtherResources) {
    if (!(amounts[resource] > 0)) continue;
    v1::ResourceAmount& amount = *to.Add();
    amount.set_resource(ConfigOf(resource));
    amount.set_amount(amounts[resource]);
  }
}

}  // namespace

Reservation& Reservation::operator=(Reservation&& other) noexcept {
  if (this != &other) {
    Release();
    order_ = std::move(other.order_);
    request_ = other.request_;
    budgets_ = std::move(other.budgets_);
    settled_ = std::move(other.settled_);
    windows_ = std::move(other.windows_);
    charges_ = std::move(other.charges_);
    held_ = other.held_;
    first_hold_j_ = other.first_hold_j_;
    metered_j_ = other.metered_j_;
    soft_window_spent_ = other.soft_window_spent_;
    unsure_ = other.unsure_;
    refusal_ = std::move(other.refusal_);
  }
  return *this;
}

Reservation::~Reservation() { Release(); }

void Reservation::Release() {
  if (budgets_ == nullptr) return;
  PacerOperation operation(order_.get());
  if (operation.event() != nullptr) operation.event()->mutable_release()->set_request(request_);
  for (const auto& budget : budgets_->priced) {
    budget->GiveBack(held_[budget->resource()]);
    budget->Forget();
  }
  for (size_t i = 0; i < windows_.size(); ++i) budgets_->windows[i]->GiveBack(windows_[i]);
  for (size_t i = 0; i < charges_.size(); ++i) {
    if (budgets_->ledgers[i] != nullptr) budgets_->ledgers[i]->Forget(charges_[i]);
  }
  budgets_ = nullptr;
}

bool Reservation::Prices(Resource resource) const {
  const BudgetSet* const budgets = budgets_ != nullptr ? budgets_.get() : settled_.get();
  return std::any_of(budgets->priced.begin(), budgets->priced.end(),
                     [&](const auto& budget) { return budget->resource() == resource; });
}

double Reservation::PriceOf(Resource resource) const {
  const BudgetSet* const budgets = budgets_ != nullptr ? budgets_.get() : settled_.get();
  double price = 0;
  for (size_t i = 0; i < budgets->priced.size(); ++i) {
    if (budgets->priced[i]->resource() != resource) continue;
    price += budgets->priced[i]->price() * Multiplier(i);
  }
  return price;
}

double Reservation::HeadroomOf(Resource resource) const {
  if (soft_window_spent_) return 0;
  double headroom = std::numeric_limits<double>::infinity();
  for (const auto& budget : budgets_->priced) {
    if (budget->resource() == resource) headroom = std::min(headroom, budget->Headroom());
  }
  for (const auto& window : budgets_->windows) {
    if (window->hard() && window->resource() == ConfigOf(resource)) {
      headroom = std::min(headroom, window->Left());
    }
  }
  // Only joules have ledgers.
  if (resource == Resource::kJoules) {
    for (const auto& charge : charges_) headroom = std::min(headroom, charge.headroom_j());
  }
  return headroom;
}

double Reservation::LargestAnswer() const {
  double largest = std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < charges_.size(); ++i) {
    const PrincipalLedger* const ledger = budgets_->ledgers[i].get();
    if (ledger != nullptr) largest = std::min(largest, ledger->LargestOf(charges_[i]));
  }
  return largest;
}

BudgetTerms Reservation::terms() const {
  BudgetTerms terms;
  if (budgets_ == nullptr) return terms;
  PacerOperation operation(order_.get());
  terms.price_per_joule = PriceOf(Resource::kJoules);
  double shared = 0;
  for (size_t i = 0; i < charges_.size(); ++i) {
    const PricedBudget& budget = *budgets_->priced[i];
    if (budget.resource() == Resource::kJoules) shared += budget.price();
  }
  if (shared > 0) terms.price_multiplier = terms.price_per_joule / shared;
  terms.headroom_j = HeadroomOf(Resource::kJoules);
  terms.largest_j = LargestAnswer();
  for (const Resource resource : kOtherResources) {
    if (Prices(resource)) terms.others[resource] = {PriceOf(resource), HeadroomOf(resource)};
  }
  terms.sequence = operation.sequence();
  if (operation.event() != nullptr) {
    v1::PriceView& view = *operation.event()->mutable_view();
    view.set_request(request_);
    view.set_price_per_joule(terms.price_per_joule);
    view.set_price_multiplier(terms.price_multiplier);
    view.set_headroom_j(terms.headroom_j);
    if (std::isfinite(terms.largest_j)) view.set_largest_j(terms.largest_j);
    for (const Resource resource : kOtherResources) {
      if (!Prices(resource)) continue;
      v1::ResourceTerms& other = *view.add_others();
      other.set_resource(ConfigOf(resource));
      other.set_price(terms.others[resource].price);
      other.set_headroom(terms.others[resource].headroom);
    }
  }
  return terms;
}

void Reservation::NoteHold(const Amounts& amounts, v1::JouleHold::Kind kind, bool refused,
                           double largest_j, PacerOperation& operation) const {
  if (operation.event() == nullptr) return;
  v1::JouleHold& hold = *operation.event()->mutable_hold();
  hold.set_request(request_);
  hold.set_energy_j(amounts.energy_j);
  hold.set_largest_j(largest_j);
  WriteOthers(amounts, *hold.mutable_others());
  hold.set_kind(kind);
  hold.set_refused(refused);
}

bool Reservation::Hold(const Amounts& amounts) {
  if (budgets_ == nullptr || None(amounts)) return true;
  PacerOperation operation(order_.get());
  const bool held = ReserveWindows(amounts);
  NoteHold(amounts, v1::JouleHold::ALWAYS, !held, 0, operation);
  if (held) HoldNow(amounts);
  return held;
}

bool Reservation::ReserveWindows(const Amounts& amounts) {
  absl::InlinedVector<size_t, 8> parts;  // of each window's hold, before
  for (size_t i = 0; i < windows_.size(); ++i) {
    WindowBudget& window = *budgets_->windows[i];
    parts.push_back(windows_[i].size());
    const double amount = AmountFor(window, amounts);
    if (!window.hard() || !(amount > 0)) continue;
    const WindowAnswer answer = window.Reserve(amount, windows_[i]);
    unsure_ = unsure_ || answer == WindowAnswer::kUnsure;
    if (Covers(answer)) continue;
    refusal_ = WindowRefusal(answer, budgets_->window_names[i], window);
    for (size_t j = 0; j < parts.size(); ++j) {
      budgets_->windows[j]->GiveBack(windows_[j], parts[j]);
    }
    return false;
  }
  return true;
}

void Reservation::HoldCharges(double energy_j) {
  for (size_t i = 0; i < charges_.size(); ++i) {
    if (budgets_->ledgers[i] != nullptr) budgets_->ledgers[i]->Hold(charges_[i], energy_j);
  }
}

void Reservation::CountHold(const Amounts& amounts) {
  if (held_.energy_j == 0) first_hold_j_ = amounts.energy_j;
  held_ += amounts;
}

bool Reservation::TryHoldCharges(double energy_j, double largest_j) {
  for (size_t i = 0; i < charges_.size(); ++i) {
    PrincipalLedger* const ledger = budgets_->ledgers[i].get();
    if (ledger == nullptr || ledger->TryHold(charges_[i], energy_j, largest_j)) continue;
    while (i-- > 0) {
      if (budgets_->ledgers[i] == nullptr) continue;
      budgets_->ledgers[i]->Hold(charges_[i], -energy_j);
    }
    return false;
  }
  return true;
}

void Reservation::HoldNow(const Amounts& amounts) {
  for (const auto& budget : budgets_->priced) {
    const double amount = amounts[budget->resource()];
    if (amount > 0) budget->Hold(amount);
  }
  HoldCharges(amounts.energy_j);
  CountHold(amounts);
}

bool Reservation::TryHold(const Amounts& amounts, double largest_j) {
  if (budgets_ == nullptr || None(amounts)) return true;
  PacerOperation operation(order_.get());
  const bool held = TryHoldNow(amounts, largest_j);
  NoteHold(amounts, v1::JouleHold::IF_COVERED, !held, largest_j, operation);
  return held;
}

bool Reservation::TryHoldNow(const Amounts& amounts, double largest_j) {
  if (soft_window_spent_) return false;
  const auto& priced = budgets_->priced;
  // What takes nothing of a resource is covered by its budgets, whatever they have left.
  size_t held = 0;
  const auto covers = [&](PricedBudget& budget) {
    const double amount = amounts[budget.resource()];
    return !(amount > 0) || budget.TryHold(amount);
  };
  while (held < priced.size() && covers(*priced[held])) ++held;
  const bool charged = held == priced.size() && TryHoldCharges(amounts.energy_j, largest_j);
  if (!charged || !ReserveWindows(amounts)) {
    if (charged) HoldCharges(-amounts.energy_j);
    while (held-- > 0) {
      const double amount = amounts[priced[held]->resource()];
      if (amount > 0) priced[held]->GiveBack(amount);
    }
    return false;
  }
  CountHold(amounts);
  return true;
}

void Reservation::Metered(double energy_j) {
  if (budgets_ == nullptr || !(energy_j > held_.energy_j)) return;
  PacerOperation operation(order_.get());
  NoteHold({energy_j, 0, 0}, v1::JouleHold::METERED, false, 0, operation);
  // It runs already: a window that does not cover it learns of it when it is settled.
  if (!(first_hold_j_ > 0)) {
    ReserveWindows({energy_j, 0, 0});
    HoldNow({energy_j, 0, 0});
    return;
  }
  const double step = first_hold_j_ / 2;
  const double steps = std::ceil((energy_j - held_.energy_j) / step);
  ReserveWindows({steps * step, 0, 0});
  HoldNow({steps * step, 0, 0});
  metered_j_ += steps * step;
}

void Reservation::RecordDecision(const Amounts& sunk, absl::Span<const PricedOption> options,
                                 size_t k, bool follow_up) {
  for (DueLevel& level : NoteOptions(sunk, options, k, follow_up)) level.Find();
}

std::vector<DueLevel> Reservation::NoteOptions(const Amounts& sunk,
                                               absl::Span<const PricedOption> options, size_t k,
                                               bool follow_up) {
  std::vector<DueLevel> due;
  const BudgetSet* const budgets = budgets_ != nullptr ? budgets_.get() : settled_.get();
  if (budgets == nullptr || budgets->priced.empty()) return due;
  PacerOperation operation(order_.get());
  if (operation.event() != nullptr) {
    v1::OptionsNoted& noted = *operation.event()->mutable_options();
    noted.set_request(request_);
    noted.set_sunk_j(sunk.energy_j);
    for (const PricedOption& option : options) {
      noted.add_worth(option.quality);
      noted.add_energy_j(option.energy_j);
    }
    noted.set_max_experts(static_cast<uint32_t>(k));
    noted.set_follow_up(follow_up);
    WriteOthers(sunk, *noted.mutable_sunk_others());
    for (const Resource resource : kOtherResources) {
      if (!Prices(resource)) continue;
      v1::ResourceColumn& column = *noted.add_others();
      column.set_resource(ConfigOf(resource));
      for (const PricedOption& option : options) column.add_amount(option.amounts()[resource]);
    }
  }
  Amounts prices;
  for (const Resource resource : {Resource::kJoules, kOtherResources[0], kOtherResources[1]}) {
    prices[resource] = PriceOf(resource);
  }
  std::vector<PricedOption> repriced;
  for (size_t i = 0; i < budgets->priced.size(); ++i) {
    PricedBudget& budget = *budgets->priced[i];
    const Resource resource = budget.resource();
    const double multiplier = Multiplier(i);
    const double same = std::max(0.0, prices[resource] - budget.price() * multiplier);
    // An option's worth to this budget is what the prices of the other resources leave of it. And
    // value - (m l + same) a orders options as value / m - (l + same / m) a does: the level is
    // solved for knowing that this one will pay m times it.
    repriced.clear();
    for (const PricedOption& option : options) {
      const Amounts amounts = option.amounts();
      double worth = option.quality;
      for (const Resource other : {Resource::kJoules, kOtherResources[0], kOtherResources[1]}) {
        if (other != resource && prices[other] > 0) worth -= prices[other] * amounts[other];
      }
      repriced.push_back({worth / multiplier, amounts[resource]});
    }
    if (budget.Note(DecisionTable(sunk[resource], repriced, k, same / multiplier, follow_up))) {
      due.emplace_back(budgets->priced[i], order_, operation.sequence(),
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
  for (const auto& budget : budgets_->priced) {
    const Resource resource = budget->resource();
    const double metered = resource == Resource::kJoules ? metered_j_ : 0;
    budget->Settle(held_[resource], usage[resource], held_[resource] - metered);
  }
  for (size_t i = 0; i < charges_.size(); ++i) {
    if (budgets_->ledgers[i] != nullptr) budgets_->ledgers[i]->Settle(charges_[i], usage.energy_j);
  }
  for (size_t i = 0; i < windows_.size(); ++i) {
    WindowBudget& window = *budgets_->windows[i];
    window.Settle(windows_[i], AmountFor(window, usage));
  }
  settled_ = std::move(budgets_);
}

}  // namespace penstock::router
