#include "router_service/pacing/sharing/budget_shares.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace penstock::router {
namespace {

constexpr double kRecentSeconds = 3;
constexpr double kSlowSeconds = 300;  // as PricedBudget's rate of arrivals
constexpr double kApproachSeconds = 1;
constexpr double kMeetSeconds = 30;
constexpr double kFloor = 0.2;
// A router's requests are believed to want what all want for this many of them.
constexpr double kPriorRequests = 32;
// Nothing heard for longer than this, and for longer than so many rounds take, is the store's
// silence, not the routers'.
constexpr absl::Duration kGap = absl::Seconds(1);
constexpr int kGapRounds = 2;
// More than a gap and a round of its own: one that tells lives, whichever way the rounds fall.
constexpr int kLivesRounds = 4;
// The dead are remembered while their arrivals count, e^-5.
constexpr absl::Duration kRemember = absl::Minutes(25);
// Changes smaller than this of what was said last, or of one unit, are not worth a line in the
// journal.
constexpr double kLeastChange = 0.01;

bool Differs(double value, double from, double unit) {
  return std::abs(value - from) > kLeastChange * std::max(unit, std::abs(from));
}

}  // namespace

void BudgetShares::Fade(absl::Duration by) {
  const double seconds = absl::ToDoubleSeconds(by);
  const double recent = std::exp(-seconds / kRecentSeconds);
  const double slow = std::exp(-seconds / kSlowSeconds);
  const auto fade = [&](Router& router) {
    router.recent *= recent;
    router.arrivals *= slow;
    router.decisions *= slow;
    router.wanted *= slow;
  };
  fade(self_);
  for (auto& [name, router] : others_) fade(router);
}

void BudgetShares::Note(Router& router, const BudgetDemand& demand) {
  const BudgetDemand& before = router.last.demand;
  const auto more = [](auto now, auto then) {
    return now > then ? static_cast<double>(now - then) : 0.0;
  };
  router.recent += more(demand.arrivals, before.arrivals);
  router.arrivals += more(demand.arrivals, before.arrivals);
  router.decisions += more(demand.decisions, before.decisions);
  router.wanted += more(demand.wanted, before.wanted);
}

void BudgetShares::NoteOthers(const ToldDemands& told, absl::Time now) {
  for (const auto& [name, row] : told) {
    if (name == own_) continue;
    auto it = others_.find(name);
    if (it == others_.end()) {
      if (others_.size() >= kMostRouters) continue;
      // What it did before is not known to be recent.
      others_[name] = Router{row, now};
      continue;
    }
    Router& router = it->second;
    if (row.beat <= router.last.beat) continue;  // nothing new, or the store forgot
    if (row.generation != router.last.generation) router.last.demand = BudgetDemand();
    Note(router, row.demand);
    unsaid_spent_ += std::max(0.0, row.demand.settled - router.last.demand.settled);
    router.last = row;
    router.told_at = now;
    router.tells = true;
  }
  for (auto it = others_.begin(); it != others_.end();) {
    it = now - it->second.told_at > kRemember ? others_.erase(it) : std::next(it);
  }
}

double BudgetShares::CreditCorrection(double own_credit, absl::Time now) {
  double sum = 0;
  double count = 0;
  for (const auto& [name, router] : others_) {
    if (!router.tells || !Lives(router, now)) continue;
    sum += Credit(router.last.demand);
    ++count;
  }
  if (count == 0) return 0;
  if (!std::exchange(met_, true)) return sum / count - own_credit;
  const double towards = (sum + own_credit) / (count + 1);
  return -std::expm1(-std::min(1.0, unsaid_seconds_) / kMeetSeconds) * (towards - own_credit);
}

std::optional<PlatformShare> BudgetShares::Hear(const ToldDemands& told, const BudgetDemand& own,
                                                absl::Time now, absl::Duration round) {
  const absl::Duration gap = std::max(kGap, kGapRounds * round);
  lives_ = std::max(kLives, kLivesRounds * round);
  const bool first = began_ == absl::InfinitePast();
  absl::Duration silence = absl::ZeroDuration();
  if (first) {
    began_ = now;
    self_.last.demand = own;
  } else {
    silence = std::max(silence, now - heard_);
    Fade(silence);
    if (silence > gap) {
      for (auto& [name, router] : others_) router.told_at += silence;
    }
  }
  heard_ = now;
  NoteOthers(told, now);
  Note(self_, own);
  self_.last.demand = own;
  unsaid_seconds_ += absl::ToDoubleSeconds(silence);

  double decisions = self_.decisions;
  double wanted = self_.wanted;
  for (const auto& [name, router] : others_) {
    decisions += router.decisions;
    wanted += router.wanted;
  }
  const double mean = decisions > 0 && wanted > 0 ? wanted / decisions : 1;
  const auto size = [&](const Router& router) {
    return (router.wanted + kPriorRequests * mean) / (router.decisions + kPriorRequests);
  };
  const double own_size = size(self_);
  const double own_demand = self_.recent * own_size;
  double demand = own_demand;
  double arrivals_elsewhere = 0;
  double live = 1;
  PlatformShare next;
  next.started = own.started;
  bool meets = false;
  for (const auto& [name, router] : others_) {
    // Those of one that died too: they come to others now, and fade here as they grow there.
    arrivals_elsewhere += router.arrivals * size(router) / own_size;
    if (!Lives(router, now)) continue;
    ++live;
    meets = meets || (router.tells && !met_);
    demand += router.recent * size(router);
    next.started = std::min(next.started, router.last.demand.started);
  }

  const double target =
      (1 - kFloor) * (demand > 0 ? own_demand / demand : 1 / live) + kFloor / live;
  if (live == 1) {
    share_ = 1;
  } else if (first) {
    share_ = 1 / live;
  } else {
    const double seconds = absl::ToDoubleSeconds(std::min(silence, gap));
    share_ += -std::expm1(-seconds / kApproachSeconds) * (target - share_);
  }
  const double observed = std::max(1.0, absl::ToDoubleSeconds(now - began_));
  next.share = share_;
  next.requests_elsewhere =
      arrivals_elsewhere / (kSlowSeconds * -std::expm1(-observed / kSlowSeconds));
  next.spent_elsewhere = unsaid_spent_;
  // Who was here before the others is not to take over what a newcomer begins with.
  if (!meets) met_ = met_ || now - began_ > lives_;
  // Whoever spends, the credit is dealt out anew: what one leaves is for all.
  const bool spends = unsaid_spent_ > 0 || (live > 1 && own.settled != said_settled_);
  const bool says = meets || spends || (share_ == 1) != (said_.share == 1) ||
                    Differs(next.share, said_.share, 0) ||
                    Differs(next.requests_elsewhere, said_.requests_elsewhere, 0.1);
  if (!says) return std::nullopt;
  next.credit_correction = CreditCorrection(Credit(own), now);
  unsaid_spent_ = 0;
  said_settled_ = own.settled;
  unsaid_seconds_ = 0;
  said_ = next;
  return next;
}

}  // namespace penstock::router
