#include "router_service/pacing/leasing/leased_budget.h"

#include <algorithm>
#include <cmath>

namespace penstock::router {
namespace {

// A lease lasts this long, at the rate of late, so that what is lost with a router is little.
constexpr absl::Duration kHorizon = absl::Seconds(2);
// The next window is leased so long before it begins, or in the last quarter of a shorter one.
constexpr absl::Duration kLead = absl::Seconds(2);
// At least this part of what the cap leaves, by routers, so that a budget that is hardly touched
// bears a burst; more of a short window before anything was asked for, since nobody knows how much
// that will be. What a router that dies leaves of a long one would be missed for long.
constexpr int64_t kLeastPart = 100;
constexpr int64_t kFirstPart = 4;
constexpr absl::Duration kShortWindow = absl::Minutes(1);
// Others may want what one has not drawn on for so long.
constexpr absl::Duration kIdle = absl::Seconds(1);
constexpr absl::Duration kLongestPeriod = absl::Seconds(1);
// Routers' clocks differ by less.
constexpr absl::Duration kSkew = absl::Minutes(1);

int64_t Ceil(double amount) {
  return static_cast<int64_t>(std::ceil(std::clamp(amount, 0.0, 0x1p62)));
}

int64_t Twice(int64_t amount) { return SaturatedSum(amount, amount); }

// Of what is not negative.
int64_t PartOf(int64_t amount, int64_t parts) {
  return amount / parts + (amount % parts == 0 ? 0 : 1);
}

// What `free`, which may be below 0, lacks of an amount.
int64_t Missing(int64_t amount, int64_t free) {
  return free >= 0 ? amount - free : SaturatedSum(amount, -free);
}

}  // namespace

void LeasedBudget::Keep(absl::Duration length, int64_t cap, int earlier) {
  kept_ = true;
  length_ = length;
  cap_ = cap;
  earlier_ = earlier;
}

LeasedBudget::Window* LeasedBudget::Open(const BudgetWindow& window) {
  const int64_t number = window.number();
  if (Window* const found = Find(number); found != nullptr) return found;
  if (windows_.size() >= kMostWindows) {
    if (number < windows_.begin()->first) return nullptr;
    windows_.erase(windows_.begin());
  }
  return &windows_.try_emplace(number, window, owner_).first->second;
}

LeasedBudget::Window* LeasedBudget::Find(int64_t number) {
  const auto found = windows_.find(number);
  return found == windows_.end() ? nullptr : &found->second;
}

const LeasedBudget::Window* LeasedBudget::Find(int64_t number) const {
  return const_cast<LeasedBudget*>(this)->Find(number);
}

bool LeasedBudget::gone() const {
  return !kept_ && std::all_of(windows_.begin(), windows_.end(), [](const auto& each) {
    const auto& [number, window] = each;
    return !window.call && window.totals.told() && window.totals.Free() <= 0 &&
           window.totals.settled() == 0 && window.totals.reserved() == 0;
  });
}

bool LeasedBudget::MayBeSpent(const Window& window, absl::Time now) const {
  return now < window.at.end() + earlier_ * length_;
}

void LeasedBudget::Turn(absl::Time now) {
  for (auto it = windows_.begin(); it != windows_.end();) {
    const bool over = !MayBeSpent(it->second, now) && it->second.totals.reserved() == 0 &&
                      !it->second.call.has_value();
    it = over ? windows_.erase(it) : std::next(it);
  }
  if (!kept_) return;
  BudgetWindow window = BudgetWindow::At(now, length_);
  Open(window);
  const absl::Time end = window.end();
  for (int i = 0; i < earlier_; ++i) Open(window = window.Before());
  if (now >= end - std::min(kLead, length_ / 4)) Open(BudgetWindow::At(end, length_));
}

absl::Duration LeasedBudget::Period() const {
  return std::clamp(length_ / 20, kShortPause, kLongestPeriod);
}

absl::Duration LeasedBudget::TimeToLive(const Window& window, absl::Time now) const {
  return std::max(absl::ZeroDuration(), window.at.end() - now) + earlier_ * length_ + kSkew;
}

int64_t LeasedBudget::CapLeft(const Window& window, int64_t cap) const {
  const int64_t left = cap - std::min(cap, window.totals.TakenByOthers());
  return std::max<int64_t>(0, left - window.totals.Taken());
}

int64_t LeasedBudget::Routers() const {
  size_t others = 0;
  for (const auto& [number, window] : windows_) others = std::max(others, window.totals.others());
  return 1 + static_cast<int64_t>(others);
}

int64_t LeasedBudget::Need(const Window& window, int64_t left, absl::Time now) const {
  const bool first = demand_.largest() == 0 && length_ <= kShortWindow;
  const int64_t parts = (first ? kFirstPart : kLeastPart) * Routers();
  const absl::Duration until_end =
      window.at.end() + earlier_ * length_ - std::max(now, window.at.start);
  const absl::Duration horizon = std::clamp(until_end, absl::ZeroDuration(), kHorizon);
  return std::max({Ceil(rate(now) * absl::ToDoubleSeconds(horizon)), Twice(demand_.largest()),
                   window.wanted, PartOf(left, parts), int64_t{1}});
}

LeasedBudget::Lease LeasedBudget::Plan(const Window& window, absl::Time now) const {
  Lease lease;
  const int64_t free = window.totals.Free();
  if (!kept_ || !MayBeSpent(window, now)) {
    lease.give_back = std::max<int64_t>(0, free);
    return lease;
  }
  if (cap_ == WindowLedger::kNoCap) return lease;
  const int64_t left = CapLeft(window, cap_);
  const int64_t need = Need(window, left, now);
  const int64_t fair = PartOf(left, Routers());
  // What is short is for those who want it.
  const bool idle =
      Routers() > 1 && window.wanted == 0 && now - demand_.last() > kIdle && fair < need;
  const int64_t over =
      window.totals.Taken() - (cap_ - std::min(cap_, window.totals.TakenByOthers()));
  if (over > 0 && free > 0) {  // the cap was lowered
    lease.give_back = std::min(free, over);
  } else if (idle) {
    if (left == 0) lease.give_back = std::max<int64_t>(0, free);
  } else if (free > Twice(need)) {
    lease.give_back = free - need;
  } else if (free < window.wanted || free < PartOf(need, 2)) {
    // No more than a router's part of what is left, or the first would have it all.
    lease.want =
        std::min(Missing(need, free), std::max({fair, Missing(window.wanted, free), int64_t{1}}));
  }
  return lease;
}

bool LeasedBudget::RunsLow(const Window& window, absl::Time now) const {
  return !window.call.has_value() && !lost_ && now >= window.retry && MayBeSpent(window, now) &&
         Plan(window, now).want > 0;
}

WindowAnswer LeasedBudget::Reserve(Window& window, int64_t amount, int64_t cap, absl::Time now,
                                   std::optional<absl::Duration> grace) {
  LeasedWindow& totals = window.totals;
  if (cap == WindowLedger::kNoCap) {
    totals.Reserve(amount);
    if (!lost_) return WindowAnswer::kCovered;
    unsure_ = SaturatedSum(unsure_, amount);
    return WindowAnswer::kUnsure;
  }
  const int64_t least = std::max<int64_t>(amount, 1);
  const int64_t free = totals.Free();
  if (free >= least) {
    totals.Reserve(amount);
    if (amount > 0) demand_.Note(amount, now);
    return WindowAnswer::kCovered;
  }
  if (lost_) {
    const int64_t missing = least - std::max<int64_t>(0, free);
    // Nor beyond what is known of the others.
    const int64_t known = cap - std::min(cap, totals.TakenByOthers()) -
                          SaturatedSum(totals.settled(), totals.reserved());
    if (Allowance(now, grace) < missing || known < least) return WindowAnswer::kStoreDown;
    totals.Reserve(amount);
    if (amount > 0) {
      unsure_since_ = SaturatedSum(std::max(unsure_since_, Allowed(now) - Depth()), missing);
      unsure_ = SaturatedSum(unsure_, missing);
    }
    return WindowAnswer::kUnsure;
  }
  window.wanted = std::max(window.wanted, least);
  const int64_t spent = SaturatedSum(totals.settled(), totals.reserved());
  const int64_t by_others = std::min(cap, totals.SettledByOthers());
  if (cap - by_others - spent < least) return WindowAnswer::kSpent;
  const int64_t unheld = SaturatedSum(CapLeft(window, cap), std::max<int64_t>(0, free));
  return unheld < least ? WindowAnswer::kElsewhere : WindowAnswer::kNotLeased;
}

int64_t LeasedBudget::Allowed(absl::Time now) const {
  return static_cast<int64_t>(
      std::min(rate_at_loss_ * absl::ToDoubleSeconds(now - *lost_), 0x1p62));
}

int64_t LeasedBudget::Depth() const {
  return std::max(Ceil(rate_at_loss_ * absl::ToDoubleSeconds(std::min(kHorizon, length_))),
                  Twice(demand_.largest()));
}

int64_t LeasedBudget::Allowance(absl::Time now, std::optional<absl::Duration> grace) const {
  if (!lost_ || (grace && now - *lost_ > *grace)) return 0;
  return std::clamp<int64_t>(Allowed(now) - unsure_since_, 0, Depth());
}

int64_t LeasedBudget::Left(const Window& window, int64_t cap, absl::Time now,
                           std::optional<absl::Duration> grace) const {
  const int64_t free = std::max<int64_t>(0, window.totals.Free());
  if (lost_) {
    const int64_t known = SaturatedSum(CapLeft(window, cap), free);
    return std::min(known, SaturatedSum(free, Allowance(now, grace)));
  }
  // Where more was asked for than is leased, what is leased is all that there is for the moment.
  return window.wanted > 0 ? free : SaturatedSum(free, CapLeft(window, cap));
}

void LeasedBudget::Answered(absl::Time now) {
  answered_ = std::max(answered_, now);
  lost_.reset();
  refused_.reset();
  unsure_since_ = 0;
}

void LeasedBudget::Lost(absl::Time since) {
  if (lost_) return;
  // What was drawn until then, and not since: a rate that follows what it allows has no meaning.
  rate_at_loss_ = demand_.Rate(std::max(since, demand_.last()));
  lost_ = since;
}

void LeasedBudget::Refused(absl::Time since, absl::Time now, absl::Duration patience) {
  if (!refused_) refused_ = since;
  if (now - *refused_ > patience) Lost(*refused_);
}

void LeasedBudget::Notice(absl::Time now, absl::Duration patience) {
  if (lost_) return;
  for (const auto& [number, window] : windows_) {
    if (window.call && now - *window.call > patience) return Lost(*window.call);
  }
}

}  // namespace penstock::router
