#include "router_service/pacing/priced_budget.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "router_service/pacing/budget_period.h"

namespace penstock::router {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// W, in requests' worth and in seconds' worth of the budget.
constexpr double kFeedbackRequests = 200;
constexpr double kFeedbackSeconds = 210;
constexpr double kFeedbackClamp = 3;
// credit_0: where the feedback holds the credit, and how fast it gets there.
constexpr double kReserveShare = 0.05;
constexpr double kReserveRequests = 60;
constexpr double kReserveSeconds = 24;
// The logarithm of the price rises by this much more while the reserve goes, twice that at most:
// options are given up by their worth before the headroom takes them by turn. A soft budget may owe,
// so its headroom seldom does.
constexpr double kHardScarcity = 1;
constexpr double kSoftScarcity = 0.1;
constexpr double kScarcityClamp = 2;
// Soft watts may owe the time gone so far, soft means half the requests after the first, up to
// these: what a burst holds is no reason to give the next request to the cheapest expert, whatever
// it is worth there.
constexpr double kOwedSeconds = 540;
constexpr double kOwedAfterRequests = 100;
constexpr double kOwedPerRequest = 0.5;
constexpr double kOwedRequests = 300;
// Credit that a time without spending leaves behind.
constexpr double kDepth = 600;
constexpr double kLeastAuthority = 0.02;
constexpr size_t kSolveEvery = 16;
constexpr double kLevelStep = 0.1;
// Smallest level, in quality units for a target's worth of joules.
constexpr double kLeastLevel = 1e-4;
constexpr double kLevelMargin = 0.05;
constexpr double kRateSeconds = 300;
constexpr double kBiasForget = 0.995;
// The cost model is believed for this many requests' worth before its bias is.
constexpr double kBiasPrior = 10;
constexpr size_t kLastRequests = 512;

// Joules of one request, or of one second.
double PerUnit(const config::v1::Budget& budget) {
  const double seconds = absl::ToDoubleSeconds(PeriodLength(budget.per()));
  return seconds > 0 ? budget.amount() / seconds : budget.amount();
}

Resource ResourceOf(const config::v1::Budget& budget) {
  for (const Resource resource : kOtherResources) {
    if (budget.resource() == ConfigOf(resource)) return resource;
  }
  return Resource::kJoules;
}

// Prices known beforehand are of joules.
PacingOptions OptionsFor(const config::v1::Budget& budget, PacingOptions options) {
  if (budget.resource() == config::v1::Budget::JOULES) return options;
  options.start_price_per_joule = 0;
  options.trust_start_price = false;
  return options;
}

}  // namespace

PricedBudget::PricedBudget(const Clock& clock, const config::v1::Budget& budget,
                         const PacingOptions& options)
    : clock_(clock),
      window_length_(PeriodLength(budget.per())),
      resource_(ResourceOf(budget)),
      options_(OptionsFor(budget, options)),
      hard_(budget.hard()),
      price_(options_.start_price_per_joule),
      descent_({}, {options_.start_price_per_joule * PerUnit(budget)}) {
  MutexLock lock(mutex_);
  Start(budget);
}

void PricedBudget::Start(const config::v1::Budget& budget) {
  amount_ = budget.amount();
  hard_.store(budget.hard(), std::memory_order_relaxed);
  started_ = platform_started_ = accrued_ = clock_.Now();
  arrivals_ = 0;
  recent_arrivals_ = 0;
  credit_ = 0;
  if (!per_request()) {
    SetWatts();
    credit_ = watts_;  // of one second: a first request need not wait
    MovePlatform(platform_watts_ - platform_credit_);
    window_ = BudgetWindow::At(started_, window_length_);
  }
}

void PricedBudget::SetWatts() {
  platform_watts_ = std::max(0.0, amount_ / absl::ToDoubleSeconds(window_length_) - idle_watts_);
  watts_ = share_ * platform_watts_;
}

void PricedBudget::MovePlatform(double joules) {
  platform_credit_ += joules;
  (joules > 0 ? demand_.allowed : demand_.taken) += std::abs(joules);
}

void PricedBudget::Change(const config::v1::Budget& budget) {
  MutexLock lock(mutex_);
  Accrue();  // what was spent in a window that is over is not the open one's
  const double spent = window_spent_;
  Start(budget);
  window_spent_ = spent;
  if (options_.learning && level_.recorded() > 0) {
    const double target = Target();
    Follow(PriceLevel::Solve(level_.tables(), target, std::exp(log_level_), kLevelMargin), target,
           1);
  }
  UpdatePrice();
}

void PricedBudget::SetIdleWatts(double watts) {
  MutexLock lock(mutex_);
  if (window_length_ != absl::Seconds(1)) return;
  Accrue();
  idle_watts_ = watts;
  SetWatts();
}

void PricedBudget::SetShare(const PlatformShare& platform) {
  MutexLock lock(mutex_);
  if (per_request()) return;
  Accrue();
  window_spent_ += platform.spent_elsewhere;
  settled_since_ = 0;
  MovePlatform(platform.credit_correction - platform.spent_elsewhere);
  requests_elsewhere_ = platform.requests_elsewhere;
  platform_started_ = std::min(started_, platform.started);
  share_ = platform.share;
  SetWatts();
  MovePlatform(std::min(0.0, kDepth * platform_watts_ - platform_credit_));
  credit_ = share_ * platform_credit_;
  UpdatePrice();
}

BudgetDemand PricedBudget::Demand() const {
  MutexLock lock(mutex_);
  BudgetDemand demand = demand_;
  demand.started = started_;
  return demand;
}

double PricedBudget::share() const {
  MutexLock lock(mutex_);
  return share_;
}

void PricedBudget::RollWindow(absl::Time now) {
  if (now < window_.end()) return;
  window_ = BudgetWindow::At(now, window_length_);
  // What went over a hard budget's window is taken from the next.
  window_spent_ = hard() ? std::max(0.0, window_spent_ - amount_) : 0;
  settled_since_ = 0;
}

void PricedBudget::Accrue() {
  const absl::Time now = clock_.Now();
  const double seconds = absl::ToDoubleSeconds(now - accrued_);
  if (seconds > 0) {
    recent_arrivals_ *= std::exp(-seconds / kRateSeconds);
    accrued_ = now;
    const double limit = kDepth * watts_;
    if (credit_ < limit) {
      const double before = credit_;
      credit_ = std::min(limit, credit_ + watts_ * seconds);
      Descend(credit_ - before);
    }
    // What the others spent may be heard of late: the limit is for what is left after it.
    const double room = share_ < 1 ? kInfinity : kDepth * platform_watts_ - platform_credit_;
    if (room > 0) MovePlatform(std::min(room, platform_watts_ * seconds));
  }
  if (!per_request()) RollWindow(now);
}

double PricedBudget::Allowance() const {
  return per_request() ? amount_ : platform_watts_ / (ArrivalRate() + requests_elsewhere_);
}

double PricedBudget::JoulesPerRequest() {
  MutexLock lock(mutex_);
  Accrue();
  return Allowance();
}

double PricedBudget::ArrivalRate() const {
  // Of a process that began at started_, the fading window holds this much time.
  const double elapsed = std::max(1.0, absl::ToDoubleSeconds(accrued_ - started_));
  const double seconds = kRateSeconds * -std::expm1(-elapsed / kRateSeconds);
  return std::max(recent_arrivals_, 1.0) / seconds;
}

double PricedBudget::Target() const {
  const double rho = Allowance();
  if (!(predicted_sum_ > 0)) return rho;
  const double prior = kBiasPrior * predicted_sum_ / std::max(settled_count_, 1.0);
  const double bias = (settled_sum_ + prior) / (predicted_sum_ + prior);
  return rho / std::clamp(bias, 0.2, 5.0);
}

double PricedBudget::WindowLeft() const {
  // Seconds are for power: the credit alone limits them, so that a request may take more than one
  // second's joules.
  if (!hard() || window_length_ <= absl::Seconds(1)) return kInfinity;
  const double left = amount_ - window_spent_;
  if (share_ == 1) return left - held_;
  return share_ * (left + settled_since_) - settled_since_ - held_;
}

bool PricedBudget::MayOpen() const {
  if (!hard()) return true;
  if (window_length_ > absl::Seconds(1)) return WindowLeft() > 0;
  return credit_ - held_ > 0;
}

bool PricedBudget::Open() {
  MutexLock lock(mutex_);
  Accrue();
  ++arrivals_;
  ++recent_arrivals_;
  ++demand_.arrivals;
  if (per_request() && credit_ < kDepth * amount_) {
    credit_ = std::min(kDepth * amount_, credit_ + amount_);
    Descend(amount_);
  }
  UpdatePrice();
  return MayOpen();
}

bool PricedBudget::CanOpen() {
  MutexLock lock(mutex_);
  Accrue();
  if (per_request()) return !hard() || credit_ + amount_ - held_ > 0;
  return MayOpen();
}

void PricedBudget::Forget() {
  MutexLock lock(mutex_);
  if (arrivals_ > 0) --arrivals_;
  recent_arrivals_ = std::max(0.0, recent_arrivals_ - 1);
  if (per_request()) {
    credit_ -= amount_;
    Descend(-amount_);
  }
  UpdatePrice();
}

double PricedBudget::HeadroomLocked(double arriving) const {
  if (!options_.learning && !hard()) return kInfinity;
  return std::max(0.0, std::min(credit_ + arriving - held_ + MayOwe(), WindowLeft()));
}

double PricedBudget::Reserve() const {
  if (per_request()) {
    return std::min(kReserveRequests, kReserveShare * static_cast<double>(arrivals_));
  }
  if (!hard()) return 0;
  return std::min(kReserveSeconds,
                  kReserveShare * absl::ToDoubleSeconds(accrued_ - platform_started_));
}

double PricedBudget::MayOwe() const {
  if (hard()) return 0;
  if (per_request()) {
    const double requests = static_cast<double>(arrivals_) - kOwedAfterRequests;
    return amount_ * std::clamp(kOwedPerRequest * requests, 0.0, kOwedRequests);
  }
  return watts_ * std::min(absl::ToDoubleSeconds(accrued_ - platform_started_), kOwedSeconds);
}

double PricedBudget::Headroom() {
  MutexLock lock(mutex_);
  Accrue();
  return HeadroomLocked(0);
}

double PricedBudget::HeadroomOfNext() {
  MutexLock lock(mutex_);
  Accrue();
  return HeadroomLocked(per_request() ? amount_ : 0);
}

void PricedBudget::Hold(double energy_j) {
  MutexLock lock(mutex_);
  Accrue();
  held_ += energy_j;
  Descend(-energy_j);
  UpdatePrice();
}

bool PricedBudget::TryHold(double energy_j) {
  MutexLock lock(mutex_);
  Accrue();
  if (HeadroomLocked(0) < energy_j) return false;
  held_ += energy_j;
  Descend(-energy_j);
  UpdatePrice();
  return true;
}

void PricedBudget::GiveBack(double held_j) {
  MutexLock lock(mutex_);
  held_ = std::max(0.0, held_ - held_j);
  Descend(held_j);
  UpdatePrice();
}

void PricedBudget::Settle(double held_j, double energy_j, double predicted_j) {
  MutexLock lock(mutex_);
  Accrue();
  held_ = std::max(0.0, held_ - held_j);
  credit_ -= energy_j;
  Descend(held_j - energy_j);
  window_spent_ += energy_j;
  settled_since_ += energy_j;
  demand_.settled += energy_j;
  if (!per_request()) MovePlatform(-energy_j);
  predicted_sum_ = kBiasForget * predicted_sum_ + predicted_j;
  settled_sum_ = kBiasForget * settled_sum_ + energy_j;
  settled_count_ = kBiasForget * settled_count_ + 1;
  if (last_.size() < kLastRequests) {
    last_.push_back(energy_j);
  } else {
    last_[last_next_] = energy_j;
  }
  last_next_ = (last_next_ + 1) % kLastRequests;
  UpdatePrice();
}

void PricedBudget::Record(const DecisionTable& table) {
  if (Note(table)) Adopt(Solve());
}

bool PricedBudget::Note(const DecisionTable& table) {
  MutexLock lock(mutex_);
  level_.Record(table);
  demand_.wanted += table.EnergyAt(0);
  if (table.starts_request()) ++demand_.decisions;
  const size_t recorded = level_.recorded();
  const bool due = recorded <= kSolveEvery || recorded - solved_at_ >= kSolveEvery;
  if (!options_.learning || options_.rule != PriceRule::kCredit || !due || solving_) return false;
  solving_ = true;
  solved_at_ = recorded;
  problem_.tables.assign(level_.tables().begin(), level_.tables().end());
  problem_.target = Target();
  problem_.hint = has_level_ ? std::exp(log_level_) : 0;
  problem_.recorded = recorded;
  return true;
}

PriceLevel::Solution PricedBudget::Solve() const {
  return PriceLevel::Solve(problem_.tables, problem_.target, problem_.hint, kLevelMargin);
}

void PricedBudget::Adopt(const PriceLevel::Solution& solution) {
  MutexLock lock(mutex_);
  // The first levels are guesses from few decisions: each counts for as much as its 16 are of all.
  const double step = std::max(kLevelStep, static_cast<double>(kSolveEvery) / problem_.recorded);
  Follow(solution, problem_.target, std::min(1.0, step));
  solving_ = false;
  UpdatePrice();
}

void PricedBudget::Follow(const PriceLevel::Solution& solution, double target, double step) {
  slack_ = solution.slack;
  if (!(target > 0)) return;
  const bool trusted = options_.trust_start_price && options_.start_price_per_joule > 0;
  if (trusted && !per_request()) {
    log_level_ = std::log(options_.start_price_per_joule);
  } else {
    const double level = std::log(std::max(solution.price, kLeastLevel / target));
    log_level_ = has_level_ ? log_level_ + step * (level - log_level_) : level;
  }
  has_level_ = true;
  authority_ = std::clamp((target - solution.floor_j) / target, kLeastAuthority, 1.0);
}

void PricedBudget::Descend(double joules) {
  if (options_.rule != PriceRule::kMirrorDescent) return;
  const double allowance = Allowance();
  if (allowance > 0) descent_.Move(0, joules / allowance);
}

void PricedBudget::UpdatePrice() {
  if (!options_.learning) return;
  if (options_.rule == PriceRule::kMirrorDescent) {
    const double unit = per_request() ? amount_ : watts_;
    if (unit > 0) price_.store(descent_.price(0) / unit, std::memory_order_relaxed);
    return;
  }
  if (!has_level_) return;
  const double available = credit_ - held_;
  if (slack_ && available > 0) {
    price_.store(0, std::memory_order_relaxed);
    return;
  }
  double unit = amount_;
  double width = kFeedbackRequests;
  if (!per_request()) {
    unit = watts_;
    width = kFeedbackSeconds;
  }
  unit *= authority_;
  const double reserve = Reserve() * unit;
  const double off = unit > 0 ? (available - reserve) / (width * unit) : -kFeedbackClamp;
  const double scarcity = hard() ? kHardScarcity : kSoftScarcity;
  const double gone = reserve > 0 ? (reserve - available) / std::max(reserve, unit) : 0;
  price_.store(std::exp(log_level_ - std::clamp(off, -kFeedbackClamp, kFeedbackClamp) +
                        scarcity * std::clamp(gone, 0.0, kScarcityClamp)),
               std::memory_order_relaxed);
}

double PricedBudget::spent() {
  MutexLock lock(mutex_);
  Accrue();
  if (!per_request()) return window_spent_;
  double sum = 0;
  for (const double energy : last_) sum += energy;
  return last_.empty() ? 0 : sum / static_cast<double>(last_.size());
}

double PricedBudget::remaining() {
  MutexLock lock(mutex_);
  Accrue();
  return std::max(0.0, per_request() ? credit_ - held_ : amount_ - window_spent_ - held_);
}

double PricedBudget::RemainingAt(absl::Time now) const {
  MutexLock lock(mutex_);
  if (per_request()) return std::max(0.0, credit_ - held_);
  const bool open = now < window_.end();
  const double over = hard() ? std::max(0.0, window_spent_ - amount_) : 0;
  return std::max(0.0, amount_ - (open ? window_spent_ : over) - held_);
}

absl::Duration PricedBudget::window_left() {
  MutexLock lock(mutex_);
  if (per_request()) return absl::ZeroDuration();
  Accrue();
  return window_.end() - accrued_;
}

absl::Duration PricedBudget::retry_after() {
  MutexLock lock(mutex_);
  Accrue();
  if (window_length_ > absl::Seconds(1)) return window_.end() - accrued_;
  const double missing = std::max(0.0, held_ - credit_);
  const double watts = per_request() ? amount_ * ArrivalRate() : watts_;
  const double seconds = watts > 0 ? missing / watts : 60;
  return std::clamp(absl::Seconds(seconds), absl::Milliseconds(10), absl::Minutes(1));
}

}  // namespace penstock::router
