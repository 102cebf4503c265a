// What stands on a request's path allocates nothing.

#include <cstdint>
#include <deque>

#include "absl/container/inlined_vector.h"
#include "gtest/gtest.h"
#include "router_service/pools/replica.h"
#include "router_service/replicas/hedging.h"
#include "router_service/replicas/replica_choice.h"
#include "tests/support/allocation_count.h"
#include "tests/support/fake_infer_target.h"

namespace penstock::router {
namespace {

TEST(ReplicaAllocations, ChoosingAndHedgingAllocateNothing) {
  constexpr size_t kReplicas = 8;
  std::deque<FakeInferTarget> targets(kReplicas);
  std::deque<Replica> replicas;
  for (FakeInferTarget& target : targets) replicas.emplace_back(target);
  ReplicaChoice choice(1, ReplicaChoice::Options());
  Hedging hedging(1, Hedging::Options());
  absl::Time now = absl::FromUnixSeconds(1'000'000);
  const auto request = [&](uint64_t sequence) {
    CounterRandom random(1, sequence);
    absl::InlinedVector<ReplicaView, kReplicas> views;
    for (const Replica& replica : replicas) {
      views.push_back(replica.View(now, choice.signal_age()));
      if (views.back().rate == 0) views.back().rate = 1;
    }
    const size_t first = choice.PickFirst(0, views, random).value();
    hedging.FirstAttempt(0);
    const size_t tried[] = {first};
    const size_t second = choice.PickAnother(views, tried, random).value();
    hedging.TryTake();
    for (const size_t picked : {first, second}) {
      Replica& replica = replicas[picked];
      const double ahead = replica.AttemptStarted(now);
      replica.InFlightReported(3, now);
      replica.Observe(ahead, absl::Milliseconds(5), now);
      hedging.Observe(0, absl::Milliseconds(5));
    }
    now += absl::Milliseconds(1);
  };
  request(0);
  const uint64_t before = AllocationsOfThread();
  for (uint64_t i = 1; i < 2000; ++i) request(i);
  EXPECT_EQ(AllocationsOfThread(), before);
  // The count counts.
  const std::deque<int> one(1);
  EXPECT_GT(AllocationsOfThread(), before);
}

}  // namespace
}  // namespace penstock::router
