// Routers of one store, in simulated time: each sees what the others have in flight.
#include "router_service/replicas/shared_load/shared_load.h"

#include <cmath>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/random.h"
#include "common/store/memory_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "router_service/pools/pool_in_flight.h"
#include "router_service/replicas/replica_choice.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_infer_target.h"
#include "tests/support/fake_timers.h"
#include "tests/support/status_matchers.h"
#include "tests/support/switched_store.h"

namespace penstock::router {
namespace {

constexpr absl::Duration kAge = absl::Seconds(1);
// For every router to be known to every other.
constexpr absl::Duration kMeet = absl::Milliseconds(1500);

// A router with one expert of two replicas, "r:0" and "r:1".
class TestRouter {
 public:
  TestRouter(const std::string& name, Store& store, FakeClock& clock, FakeTimers& timers,
             size_t replicas = 2)
      : clock_(clock),
        loads_([this] { return std::vector<std::shared_ptr<const Pool>>{pool_}; },
               ReplicaKeys("here", "here")) {
    auto pool = std::make_shared<Pool>();
    PoolExpert& expert = pool->experts.emplace_back();
    expert.name = expert.model = "model";
    for (size_t i = 0; i < replicas; ++i) {
      targets_.emplace_back(absl::StrCat("r:", i));
      expert.replicas.push_back(std::make_shared<Replica>(targets_.back()));
    }
    pool_ = std::move(pool);
    shared_ = std::make_shared<SharedLoad>(SharedLoad::Deps{store, clock, timers, loads_}, name);
    shared_->Start();
  }
  ~TestRouter() { Die(); }

  // Without a word to anybody.
  void Die() { shared_->Stop(); }
  Replica& replica(size_t i) { return *pool_->experts[0].replicas[i]; }
  FakeInferTarget& target(size_t i) { return targets_[i]; }
  ReplicaView View(size_t i) { return replica(i).View(clock_.Now(), kAge); }
  void Send(size_t i, int requests = 1) {
    for (; requests > 0; --requests) replica(i).AttemptStarted(clock_.Now());
  }
  SharedLoad& shared() { return *shared_; }

 private:
  FakeClock& clock_;
  std::deque<FakeInferTarget> targets_;
  std::shared_ptr<const Pool> pool_;
  PoolInFlight loads_;
  std::shared_ptr<SharedLoad> shared_;
};

class SharedLoadTest : public testing::Test {
 protected:
  std::unique_ptr<TestRouter> Router(const std::string& name) {
    return std::make_unique<TestRouter>(name, store_, clock_, timers_);
  }

  FakeClock clock_;
  FakeTimers timers_{clock_};
  MemoryStore memory_{clock_};
  SwitchedStore store_{memory_};
};

TEST_F(SharedLoadTest, EachSeesWhatTheOthersHave) {
  const auto a = Router("a"), b = Router("b"), c = Router("c");
  timers_.AdvanceAndRun(kMeet);
  a->Send(0, 5);
  b->Send(0, 3);
  b->Send(1, 1);
  timers_.AdvanceAndRun(2 * SharedLoad::kEvery);
  EXPECT_EQ(a->View(0).in_flight, 8);
  EXPECT_EQ(a->View(1).in_flight, 1);
  EXPECT_EQ(b->View(0).in_flight, 8);
  EXPECT_EQ(c->View(0).in_flight, 8);
  EXPECT_EQ(c->View(1).in_flight, 1);
  EXPECT_EQ(c->replica(0).Load(clock_.Now()).in_flight, 8);
  EXPECT_EQ(c->shared().state().routers, 2u);
  EXPECT_EQ(c->shared().state().in_flight, 9u);
  EXPECT_FALSE(c->View(0).asked);  // by c
  for (int i = 0; i < 5; ++i) a->replica(0).AttemptEnded(true, false, absl::Milliseconds(5));
  timers_.AdvanceAndRun(2 * SharedLoad::kEvery);
  EXPECT_EQ(c->View(0).in_flight, 3);
}

TEST_F(SharedLoadTest, ADeadRoutersLoadGoesWithinTwoSeconds) {
  const auto a = Router("a"), b = Router("b");
  timers_.AdvanceAndRun(kMeet);
  a->Send(0, 5);
  timers_.AdvanceAndRun(2 * SharedLoad::kEvery);
  ASSERT_EQ(b->View(0).in_flight, 5);
  a->Die();
  timers_.AdvanceAndRun(absl::Seconds(2));
  EXPECT_EQ(b->View(0).in_flight, 0);
  EXPECT_EQ(b->shared().state().routers, 0u);
  // Nor does it come back while its name stands in the list.
  for (int i = 0; i < 120; ++i) {
    timers_.AdvanceAndRun(SharedLoad::kEvery);
    ASSERT_EQ(b->View(0).in_flight, 0) << i;
  }
}

TEST_F(SharedLoadTest, ARouterThatComesLaterDoesNotTakeADeadOneForALiveOne) {
  const auto a = Router("a");
  a->Send(0, 5);
  timers_.AdvanceAndRun(kMeet);
  a->Die();
  const auto b = Router("b");
  for (int i = 0; i < 30; ++i) {
    timers_.AdvanceAndRun(SharedLoad::kEvery);
    ASSERT_EQ(b->View(0).in_flight, 0) << i;
  }
}

TEST_F(SharedLoadTest, WithoutTheStoreWhatIsKnownGetsOldAndNothingElseChanges) {
  const auto a = Router("a"), b = Router("b");
  timers_.AdvanceAndRun(kMeet);
  a->Send(0, 5);
  b->Send(0, 2);
  timers_.AdvanceAndRun(2 * SharedLoad::kEvery);
  ASSERT_EQ(b->View(0).in_flight, 7);
  store_.Fail(absl::UnavailableError("gone"));
  timers_.AdvanceAndRun(absl::Milliseconds(800));
  EXPECT_EQ(b->View(0).in_flight, 7);
  timers_.AdvanceAndRun(absl::Milliseconds(400));
  EXPECT_EQ(b->View(0).in_flight, 2);
  timers_.AdvanceAndRun(absl::Seconds(60));
  EXPECT_EQ(b->View(0).in_flight, 2);
  store_.Fail(absl::OkStatus());
  timers_.AdvanceAndRun(kMeet);
  EXPECT_EQ(b->View(0).in_flight, 7);
}

TEST_F(SharedLoadTest, AStoreThatForgetsIsToldAnew) {
  const auto a = Router("a"), b = Router("b");
  timers_.AdvanceAndRun(kMeet);
  a->Send(0, 5);
  MemoryStore empty(clock_);
  store_.To(empty);
  timers_.AdvanceAndRun(kMeet + SharedLoad::kListEvery);
  EXPECT_EQ(b->View(0).in_flight, 5);
}

TEST_F(SharedLoadTest, ItsOwnWordIsTheReplicasWholeLoad) {
  const auto a = Router("a"), b = Router("b");
  timers_.AdvanceAndRun(kMeet);
  a->Send(0, 5);
  b->Send(0, 2);
  timers_.AdvanceAndRun(2 * SharedLoad::kEvery);
  ASSERT_EQ(b->View(0).in_flight, 7);
  // In a trailer, of 5 requests, one of which has just ended.
  b->replica(0).InFlightReported(6, clock_.Now());
  EXPECT_EQ(b->View(0).in_flight, 6);
  timers_.AdvanceAndRun(absl::Milliseconds(900));
  EXPECT_EQ(b->View(0).in_flight, 6);  // younger than a second, though the store's is younger
  timers_.AdvanceAndRun(absl::Milliseconds(200));
  EXPECT_EQ(b->View(0).in_flight, 7);
}

TEST_F(SharedLoadTest, WhereAllReplicasStreamTheirLoadTheStoreIsNotAsked) {
  const auto a = Router("a");
  const auto stream = [&] {
    for (const size_t i : {0, 1}) a->replica(i).LoadStreamed(3, clock_.Now());
  };
  stream();
  timers_.AdvanceAndRun(SharedLoad::kEvery);
  const int64_t before = memory_.state().calls;
  for (int i = 0; i < 20; ++i) {
    stream();
    timers_.AdvanceAndRun(SharedLoad::kEvery);
  }
  EXPECT_EQ(memory_.state().calls, before);
  EXPECT_EQ(a->View(0).in_flight, 3);
  timers_.AdvanceAndRun(absl::Seconds(2));  // the streams are broken
  EXPECT_GT(memory_.state().calls, before);
}

TEST_F(SharedLoadTest, WhatAStrangerWritesChangesNothing) {
  const auto a = Router("a"), b = Router("b");
  timers_.AdvanceAndRun(kMeet);
  a->Send(0, 5);
  timers_.AdvanceAndRun(2 * SharedLoad::kEvery);
  const auto done = [](const absl::Status& status) { EXPECT_THAT(status, IsOk()); };
  const std::vector<StoreField> names = {{"stranger", 1}, {std::string(500, 'x'), 1}};
  memory_.RaiseTotals("load/routers", 0, names, absl::Seconds(10), absl::InfiniteFuture(), done);
  for (int i = 0; i < 20; ++i) {
    memory_.Put("load/router/stranger", absl::StrCat(i, " lies\n1 r:0\tmodel\n"), absl::Seconds(2),
                absl::InfiniteFuture(), done);
    timers_.AdvanceAndRun(SharedLoad::kEvery);
    ASSERT_EQ(b->View(0).in_flight, 5);
  }
}

TEST_F(SharedLoadTest, OfTooManyRoutersTheFirstOnesAreRead) {
  const auto b = Router("b");
  std::vector<StoreField> names;
  for (int i = 0; i < 100; ++i) names.push_back({absl::StrCat("router", i), 1});
  memory_.RaiseTotals("load/routers", 0, names, absl::Seconds(10), absl::InfiniteFuture(),
                      [](const absl::Status& status) { EXPECT_THAT(status, IsOk()); });
  timers_.AdvanceAndRun(absl::Milliseconds(1250));
  const int64_t before = memory_.state().calls;
  timers_.AdvanceAndRun(SharedLoad::kEvery);
  EXPECT_EQ(memory_.state().calls - before, 1 + static_cast<int64_t>(SharedLoad::kMostRouters));
}

// A store that answers late is asked for one round at a time.
TEST_F(SharedLoadTest, NoRoundBeginsBeforeTheLastOneEnded) {
  const auto a = Router("a");
  timers_.AdvanceAndRun(kMeet);
  store_.Hold();
  timers_.AdvanceAndRun(SharedLoad::kEvery);
  const size_t held = store_.held();
  ASSERT_GT(held, 0u);
  timers_.AdvanceAndRun(absl::Seconds(3));
  EXPECT_EQ(store_.held(), held);
  store_.Release();
  const int64_t before = memory_.state().calls;
  timers_.AdvanceAndRun(SharedLoad::kEvery);
  EXPECT_GT(memory_.state().calls, before);
}

// Replicas that answer in 50 ms whatever is there, and tell nothing of it. Router a reaches r:0
// alone; router b has both. In flight on average: at r:0, and at r:1.
std::pair<double, double> RunUnequalRouters(uint64_t seed, bool shared) {
  FakeClock clock;
  FakeTimers timers(clock);
  MemoryStore store(clock), other(clock);
  TestRouter a("a", store, clock, timers), b("b", shared ? store : other, clock, timers);
  a.target(1).SetHealthy(false);
  ReplicaChoice choice(1, {.rule = config::v1::ReplicaChoice::POWER_OF_TWO_CHOICES});
  uint64_t sequence = 0;
  const auto send = [&](TestRouter& router) {
    std::vector<ReplicaView> views = {router.View(0), router.View(1)};
    CounterRandom random(seed, ++sequence);
    // Their rates are the same, and no matter here.
    for (ReplicaView& view : views) view.rate = 1;
    const absl::StatusOr<size_t> picked = choice.PickFirst(0, views, random);
    ASSERT_THAT(picked, IsOk());
    router.Send(*picked);
    timers.Schedule(clock.Now() + absl::Milliseconds(50), [&router, i = *picked] {
      router.replica(i).AttemptEnded(true, false, absl::Milliseconds(50));
    });
  };
  double there[2] = {0, 0};
  CounterRandom arrivals(seed, 0);
  constexpr int kRequests = 4000, kFirst = 1000;
  for (int i = 0; i < kRequests; ++i) {
    // 400 a second in all, a Poisson process.
    timers.AdvanceAndRun(absl::Seconds(-std::log(1 - arrivals.Uniform()) / 400));
    send(arrivals.Below(2) == 0 ? a : b);
    if (i < kFirst) continue;
    for (const size_t r : {0, 1}) {
      there[r] += static_cast<double>(a.replica(r).in_flight() + b.replica(r).in_flight()) /
                  (kRequests - kFirst);
    }
  }
  timers.AdvanceAndRun(absl::Milliseconds(50));
  return {there[0], there[1]};
}

TEST(SharedLoadPropertyTest, ChoiceBalancesOverAllRoutersRequests) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    // Ten of a's are at r:0, and ten of b's anywhere.
    const auto [alone0, alone1] = RunUnequalRouters(seed, /*shared=*/false);
    EXPECT_GT(alone0, 2 * alone1) << seed;
    const auto [shared0, shared1] = RunUnequalRouters(seed, /*shared=*/true);
    EXPECT_LT(shared0, 1.35 * shared1) << seed;
    EXPECT_LT(shared1, 1.35 * shared0) << seed;
  }
}

}  // namespace
}  // namespace penstock::router
