#pragma once

#include <cstddef>
#include <deque>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/random.h"
#include "penstock/config/v1/router.pb.h"
#include "router_service/replicas/replica_view.h"
#include "router_service/replicas/share_budget.h"

namespace penstock::router {

// Which replica of an expert gets a request, for the experts of one pool. Thread-safe.
class ReplicaChoice {
 public:
  struct Options {
    config::v1::ReplicaChoice::Rule rule = config::v1::ReplicaChoice::HOT_COLD;
    double hot_quantile = 0.84;  // 2^-1/4, as in Prequal
    absl::Duration signal_age = absl::Seconds(1);
    double probe_share = 0.005;
  };

  // INVALID_ARGUMENT where the pool's `replica_choice` is out of range.
  static absl::StatusOr<Options> ReadOptions(const config::v1::Pool& pool);

  ReplicaChoice(size_t experts, Options options);

  // For a request's first attempt. Where a latency of late is known of some, those of which none
  // is, and of which nothing is in flight, are heard of first: freely where they were not slow when
  // last heard of (nor is anything else held against them), else within the share of probes, so
  // that recovery is found. Else by the rule; UNAVAILABLE where no replica is healthy. Allocates
  // nothing for up to 16 replicas.
  absl::StatusOr<size_t> PickFirst(size_t expert, absl::Span<const ReplicaView> replicas,
                                   CounterRandom& random);
  // For one that comes after those at `excluded`: by the rule alone.
  absl::StatusOr<size_t> PickAnother(absl::Span<const ReplicaView> replicas,
                                     absl::Span<const size_t> excluded,
                                     CounterRandom& random) const;

  absl::Duration signal_age() const { return options_.signal_age; }

 private:
  const Options options_;
  std::deque<ShareBudget> probes_;  // by expert; neither copied nor moved
};

}  // namespace penstock::router
