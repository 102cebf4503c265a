#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/time/clock.h"
#include "penstock/config/v1/router.pb.h"
#include "router_service/pacing/mirror_descent.h"
#include "router_service/pacing/pacing_options.h"
#include "router_service/pacing/platform_share.h"
#include "router_service/pacing/price_level.h"
#include "router_service/pacing/window_budget.h"

namespace penstock::router {

// One budget of joules, dollars or accelerator seconds, per request (a mean) or per second, hour or
// day, and the price that keeps it. Everything below is said of joules and watts; of another
// resource, read its unit for a joule, and its unit a second for a watt.
// kMirrorDescent is plain online dual mirror descent from the start price, with
// predictions at dispatch and corrections at settlement (mirror_descent.h). kCredit sets the level
// apart from the feedback:
//   credit: + rho for each request, or P dt; - reservation at dispatch; - correction at settlement
//   level:  l* = the price at which the last 512 decisions would have met rho (P / arrival rate),
//           solved for after every 16th decision (every one of the first 16); log l moves towards
//           log l*
//   price = l exp(-clamp((credit - credit_0) / W, -3, 3)
//                 + s clamp((credit_0 - credit) / credit_0, 0, 2))
// with, beyond plain credit:
//   - W = 200 a rho (210 s a P), a = (rho - floor) / rho: the share of the budget that decisions
//     move, floor = the cheapest answers' mean. A cascade's first answer is paid whatever the
//     price.
//   - l* aims at rho / b, b = joules settled over joules predicted: a biased cost model moves the
//     level, and not the credit.
//   - l* stays above a price of 0 (PriceLevel::Solve's margin): one window that is paid for
//     without a price must not undo the level that the next one needs.
//   - the second clamp: below credit_0 the price rises faster, so that headroom seldom decides;
//     s = 1 for a hard budget, .1 for a soft one, which has more headroom.
// Headroom (credit less what is held) is what an option dearer than the cheapest may take: a price
// alone cannot promise that a sum stays under its budget. A mean per request is steered to end a
// little under it, since nobody knows how long a run will be: credit_0 grows with the arrivals to
// 60 a rho, and for hard watts to 24 s a P. A hard budget never owes; a soft mean may owe half its
// requests after the first 100, 300 at most, soft watts the time gone so far, 540 s at most.
// Several routers keep one budget per second, hour or day together. What each reckons with is the
// platform's: P, the credit C, rho = P / arrivals at all of them; so that prices are the same
// everywhere, however the requests are spread. Of the credit, of P dt and of what it may owe, a
// router has its share for itself, until it hears what the others took (SetShare): between two
// such moments its credit is that part, and what it does not hear of is taken to have been spent
// by the others as their shares have it.
// Thread-safe; the level is solved outside the lock.
class PricedBudget {
 public:
  PricedBudget(const Clock& clock, const config::v1::Budget& budget, const PacingOptions& options);

  Resource resource() const { return resource_; }

  // A request arrives: credit accrues. False: a hard budget is spent, and the request must not run.
  bool Open();
  // What Open would say, nothing counted.
  bool CanOpen();
  // The request of an Open that said true will not run.
  void Forget();

  double price() const { return price_.load(std::memory_order_relaxed); }
  // rho: joules that a request may take on the mean. Of watts: at the rate of arrivals of this
  // moment.
  double JoulesPerRequest();
  double Headroom();
  // What it would be for a request that arrived this moment.
  double HeadroomOfNext();
  bool hard() const { return hard_.load(std::memory_order_relaxed); }

  void Hold(double energy_j);
  bool TryHold(double energy_j);
  void GiveBack(double held_j);
  void Settle(double held_j, double energy_j) { Settle(held_j, energy_j, held_j); }
  // `predicted_j`: what was held before metering added to it, which says how far predictions are
  // off.
  void Settle(double held_j, double energy_j, double predicted_j);

  // Takes a decision into account, and its price level where that is due.
  void Record(const DecisionTable& table);
  // The same in three steps. True: the level is due; the caller solves for it, which takes a while,
  // and then has it adopted. Until then nobody else is told so.
  bool Note(const DecisionTable& table);
  PriceLevel::Solution Solve() const;
  void Adopt(const PriceLevel::Solution& solution);

  // Another amount or hardness: the prices learnt stay, the credit starts again.
  void Change(const config::v1::Budget& budget);
  // Only for a budget in joules per second.
  void SetIdleWatts(double watts);
  // Not for a budget per request: a mean of all requests holds where it holds at each router.
  void SetShare(const PlatformShare& platform);
  // For the other routers. Changes nothing, not even the time that credit was reckoned up to.
  BudgetDemand Demand() const;
  double share() const;

  // Per request: mean of the last requests. Else: joules settled in the open window, those of the
  // other routers that it heard of included.
  double spent();
  // Per request: credit. Else what the open window has left.
  double remaining();
  // The same at `now`. Changes nothing, as Demand.
  double RemainingAt(absl::Time now) const;
  absl::Duration window_left();
  // Until a refused request may try again.
  absl::Duration retry_after();

 private:
  bool per_request() const { return window_length_ == absl::ZeroDuration(); }
  void Accrue() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RollWindow(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Joules per request that the level aims at.
  double Target() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  double Allowance() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Requests per second at this router.
  double ArrivalRate() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Of a hard budget's window; infinite where windows do not limit.
  double WindowLeft() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  double HeadroomLocked(double arriving) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // credit_0, in the units of W: requests or seconds.
  double Reserve() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Joules by which what is held may exceed the credit.
  double MayOwe() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool MayOpen() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void UpdatePrice() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Start(const config::v1::Budget& budget) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SetWatts() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void MovePlatform(double joules) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Mirror descent: joules that were allowed less those that were taken.
  void Descend(double joules) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Moves the level by `step` of the way, in logarithms.
  void Follow(const PriceLevel::Solution& solution, double target, double step)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Clock& clock_;
  const absl::Duration window_length_;  // zero: per request
  const Resource resource_;
  const PacingOptions options_;
  std::atomic<bool> hard_;
  std::atomic<double> price_;

  mutable Mutex mutex_;
  double amount_ ABSL_GUARDED_BY(mutex_) = 0;
  double platform_watts_ ABSL_GUARDED_BY(mutex_) = 0;  // P, after idle watts; 0 per request
  double watts_ ABSL_GUARDED_BY(mutex_) = 0;           // this router's share of them
  double idle_watts_ ABSL_GUARDED_BY(mutex_) = 0;
  double credit_ ABSL_GUARDED_BY(mutex_) = 0;
  double held_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t arrivals_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Time started_ ABSL_GUARDED_BY(mutex_);
  absl::Time platform_started_ ABSL_GUARDED_BY(mutex_);  // at the first of the routers that live
  absl::Time accrued_ ABSL_GUARDED_BY(mutex_);
  // Arrivals, fading over 300 s, and when they were last faded.
  double recent_arrivals_ ABSL_GUARDED_BY(mutex_) = 0;
  // Fading sums over settled requests: joules held, joules settled, requests.
  double predicted_sum_ ABSL_GUARDED_BY(mutex_) = 0;
  double settled_sum_ ABSL_GUARDED_BY(mutex_) = 0;
  double settled_count_ ABSL_GUARDED_BY(mutex_) = 0;

  double share_ ABSL_GUARDED_BY(mutex_) = 1;
  double requests_elsewhere_ ABSL_GUARDED_BY(mutex_) = 0;  // a second
  double platform_credit_ ABSL_GUARDED_BY(mutex_) = 0;     // what is known to be spent taken off
  double settled_since_ ABSL_GUARDED_BY(mutex_) = 0;       // in the window, since SetShare
  BudgetDemand demand_ ABSL_GUARDED_BY(mutex_);

  MirrorDescent descent_ ABSL_GUARDED_BY(mutex_);  // in shares of a request's allowance
  PriceLevel level_ ABSL_GUARDED_BY(mutex_);
  double log_level_ ABSL_GUARDED_BY(mutex_) = 0;
  bool has_level_ ABSL_GUARDED_BY(mutex_) = false;
  bool slack_ ABSL_GUARDED_BY(mutex_) = false;
  double authority_ ABSL_GUARDED_BY(mutex_) = 1;
  bool solving_ ABSL_GUARDED_BY(mutex_) = false;
  size_t solved_at_ ABSL_GUARDED_BY(mutex_) = 0;
  // What is to be solved; touched only by who set `solving_`.
  struct Problem {
    std::vector<DecisionTable> tables;
    double target = 0;
    double hint = 0;
    size_t recorded = 0;
  };
  Problem problem_;

  BudgetWindow window_ ABSL_GUARDED_BY(mutex_);
  double window_spent_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<double> last_ ABSL_GUARDED_BY(mutex_);  // joules of the last settled requests, a ring
  size_t last_next_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace penstock::router
