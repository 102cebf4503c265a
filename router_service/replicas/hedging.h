#pragma once

#include <cstddef>
#include <deque>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "penstock/config/v1/router.pb.h"
#include "router_service/replicas/recent_quantile.h"
#include "router_service/replicas/share_budget.h"

namespace penstock::router {

// When another replica is asked beside one that is slow, and how often that may be, for one pool.
// Dean and Barroso 2013, The Tail at Scale, CACM 56(2). Thread-safe; allocates when it is made, and
// not after.
class Hedging {
 public:
  struct Options {
    double quantile = 0.95;
    double extra_dispatches = 0.05;
  };

  // INVALID_ARGUMENT where the pool's `hedging` is out of range.
  static absl::StatusOr<Options> ReadOptions(const config::v1::Pool& pool);

  Hedging(size_t experts, Options options);

  // A request's first attempt at the expert begins: how long it may take before another is made;
  // absl::InfiniteDuration() until enough have been seen.
  absl::Duration FirstAttempt(size_t expert);
  // A first attempt was answered after `latency`, or was still out after it when another one's
  // answer came: that was later than the quantile, and it counts as such. Attempts that ended
  // otherwise say nothing.
  void Observe(size_t expert, absl::Duration latency);
  // A second attempt would be made. False: there have been enough of them.
  bool TryTake() { return budget_.TryTake(); }

 private:
  std::deque<RecentQuantile> delays_;  // by expert; neither copied nor moved
  ShareBudget budget_;
};

}  // namespace penstock::router
