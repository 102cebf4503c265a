#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "router_service/pacing/platform_share.h"

namespace penstock::router {

// What a router told last of one budget.
struct ToldDemand {
  int64_t beat = 0;  // grows each time that it tells
  // Totals begin at zero with each: a budget that was removed and set again is another one. Grows.
  int64_t generation = 0;
  BudgetDemand demand;
};
using ToldDemands = std::map<std::string, ToldDemand>;  // by router

// One budget's routers as one of them sees them, and what follows for it:
//   demand_i = arrivals of the last 3 s (fading) * what a request of i wants (of the last 300 s)
//   share_i  = .8 demand_i / sum of all + .2 / N,  approached within about a second
// N routers live. The second part lets one without traffic begin at once; it costs nothing, since
// what one leaves is dealt out anew each time. A router that just came has 1 / N, one alone 1.
// What the others' requests want over what its own want says how many of its own they are worth.
// The credits that routers reckon with drift apart by what one spent in the moment before it died:
// each moves towards the mean of all within about 30 s. One that just came takes theirs.
// Who told nothing for 5 s, or for the time in which it should have told four times, is not there. A
// time in which nothing was heard of anybody (the store was away) is not held against them. Not
// thread-safe.
class BudgetShares {
 public:
  static constexpr absl::Duration kLives = absl::Seconds(5);
  static constexpr size_t kMostRouters = 512;

  // `own`: this router's name in what is told.
  explicit BudgetShares(std::string own) : own_(std::move(own)) {}

  // What all told last, and this router's own by now. Nothing where that changes little. `round`:
  // in which each router tells and hears of this budget once.
  std::optional<PlatformShare> Hear(const ToldDemands& told, const BudgetDemand& own,
                                    absl::Time now, absl::Duration round);

 private:
  struct Router {
    ToldDemand last;
    absl::Time told_at;  // or seen first
    bool tells = false;  // more than what was found of it
    double recent = 0;   // arrivals, fading over 3 s
    // Fading over 300 s.
    double arrivals = 0;
    double decisions = 0;
    double wanted = 0;
  };

  void Fade(absl::Duration by);
  // The difference to what it told before, in the same generation.
  static void Note(Router& router, const BudgetDemand& demand);
  void NoteOthers(const ToldDemands& told, absl::Time now);
  double CreditCorrection(double own_credit, absl::Time now);
  static double Credit(const BudgetDemand& demand) { return demand.allowed - demand.taken; }
  bool Lives(const Router& router, absl::Time now) const { return now - router.told_at <= lives_; }

  const std::string own_;
  std::map<std::string, Router> others_;
  Router self_;
  absl::Time began_ = absl::InfinitePast();  // nothing was heard before
  absl::Time heard_ = absl::InfinitePast();
  absl::Duration lives_ = kLives;  // as the last round has it
  bool met_ = false;  // the others' credit, or it began before them
  double share_ = 1;
  // Since it was last said.
  double unsaid_spent_ = 0;
  double unsaid_seconds_ = 0;
  PlatformShare said_;
  double said_settled_ = 0;  // own
};

}  // namespace penstock::router
