#include "expert_service/batching/deadline_batcher.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "common/random.h"
#include "gmock/gmock.h"
#include "tests/support/status_matchers.h"

namespace penstock::expert {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr absl::Duration kMs = absl::Milliseconds(1);
const absl::Time kStart = absl::FromUnixSeconds(1'000'000);

absl::Duration Truth(int64_t size) { return 2 * kMs + 0.5 * kMs * size; }

std::shared_ptr<QueuedRequest> Request(absl::Time deadline, int64_t rows = 1) {
  auto request = std::make_shared<QueuedRequest>();
  request->rows = rows;
  request->size = rows;
  request->deadline = deadline;
  return request;
}

DeadlineBatcher Batcher(int64_t max_rows, absl::Duration max_delay = absl::ZeroDuration(),
                        int64_t max_queue = 1024) {
  DeadlineBatcher::Options options;
  options.model = "m";
  options.max_rows = max_rows;
  options.max_delay = max_delay;
  options.max_queue = max_queue;
  options.margin = absl::ZeroDuration();
  return DeadlineBatcher(options);
}

// The latency model knows the truth exactly.
DeadlineBatcher ExactBatcher(int64_t max_rows, absl::Duration max_delay = absl::ZeroDuration()) {
  DeadlineBatcher batcher = Batcher(max_rows, max_delay);
  batcher.latency().AddAnchor(1, Truth(1));
  batcher.latency().AddAnchor(64, Truth(64));
  return batcher;
}

TEST(DeadlineBatcherTest, IsWorkConservingWithoutDelay) {
  DeadlineBatcher batcher = ExactBatcher(8);
  ASSERT_THAT(batcher.Add(Request(absl::InfiniteFuture()), kStart), IsOk());
  EXPECT_THAT(batcher.Pick(kStart).batch, SizeIs(1));
  EXPECT_EQ(batcher.Pick(kStart).wait_until, absl::InfiniteFuture());
}

TEST(DeadlineBatcherTest, TakesTheEarliestDeadlinesFirst) {
  DeadlineBatcher batcher = ExactBatcher(2);
  const auto late = Request(kStart + 300 * kMs);
  const auto early = Request(kStart + 100 * kMs);
  const auto middle = Request(kStart + 200 * kMs);
  for (const auto& request : {late, early, middle})
    ASSERT_THAT(batcher.Add(request, kStart), IsOk());
  EXPECT_THAT(batcher.Pick(kStart).batch, ::testing::ElementsAre(early, middle));
  EXPECT_THAT(batcher.Pick(kStart).batch, ::testing::ElementsAre(late));
}

TEST(DeadlineBatcherTest, GrowsOnlyWhileEveryDeadlineHolds) {
  DeadlineBatcher batcher = ExactBatcher(64);
  // Truth(4) is 4 ms, Truth(5) is 4.5 ms.
  for (int i = 0; i < 10; ++i)
    ASSERT_THAT(batcher.Add(Request(kStart + 4.2 * kMs), kStart), IsOk());
  EXPECT_THAT(batcher.Pick(kStart).batch, SizeIs(4));
}

TEST(DeadlineBatcherTest, KeepsTheRowsOfARequestTogether) {
  DeadlineBatcher batcher = ExactBatcher(8);
  for (const int64_t rows : {5, 5, 3}) {
    ASSERT_THAT(batcher.Add(Request(absl::InfiniteFuture(), rows), kStart), IsOk());
  }
  EXPECT_THAT(batcher.Pick(kStart).batch, SizeIs(1));
  EXPECT_THAT(batcher.Pick(kStart).batch, SizeIs(2));
}

TEST(DeadlineBatcherTest, RunsOneByOneWithOneRow) {
  DeadlineBatcher batcher = ExactBatcher(1, 100 * kMs);
  for (int i = 0; i < 3; ++i)
    ASSERT_THAT(batcher.Add(Request(absl::InfiniteFuture()), kStart), IsOk());
  for (int i = 0; i < 3; ++i) EXPECT_THAT(batcher.Pick(kStart).batch, SizeIs(1));
}

TEST(DeadlineBatcherTest, WaitsForCompanyUntilTheOldestHasWaitedItsDelay) {
  DeadlineBatcher batcher = ExactBatcher(8, 5 * kMs);
  ASSERT_THAT(batcher.Add(Request(absl::InfiniteFuture()), kStart), IsOk());
  ASSERT_THAT(batcher.Add(Request(absl::InfiniteFuture()), kStart + 3 * kMs), IsOk());
  const auto decision = batcher.Pick(kStart + 3 * kMs);
  EXPECT_THAT(decision.batch, SizeIs(0));
  EXPECT_EQ(decision.wait_until, kStart + 5 * kMs);
  EXPECT_THAT(batcher.Pick(kStart + 5 * kMs).batch, SizeIs(2));
}

TEST(DeadlineBatcherTest, DoesNotWaitOnceFull) {
  DeadlineBatcher batcher = ExactBatcher(2, 5 * kMs);
  for (int i = 0; i < 2; ++i)
    ASSERT_THAT(batcher.Add(Request(absl::InfiniteFuture()), kStart), IsOk());
  EXPECT_THAT(batcher.Pick(kStart).batch, SizeIs(2));
}

TEST(DeadlineBatcherTest, NeverWaitsWhenTheHeadWouldMiss) {
  DeadlineBatcher batcher = ExactBatcher(8, 50 * kMs);
  // With one more row it would take 3 ms: there are 4 ms of slack to wait in, not 50.
  ASSERT_THAT(batcher.Add(Request(kStart + 7 * kMs), kStart), IsOk());
  EXPECT_EQ(batcher.Pick(kStart).wait_until, kStart + 4 * kMs);
  EXPECT_THAT(batcher.Pick(kStart + 4 * kMs).batch, SizeIs(1));
}

TEST(DeadlineBatcherTest, DropsAtOnceWhatCannotBeMet) {
  DeadlineBatcher batcher = ExactBatcher(8);
  ASSERT_THAT(batcher.Add(Request(kStart + 10 * kMs), kStart), IsOk());
  const auto decision = batcher.Pick(kStart + 8 * kMs);  // 2 ms left, 2.5 needed
  EXPECT_THAT(decision.dropped, SizeIs(1));
  EXPECT_THAT(decision.batch, SizeIs(0));
  EXPECT_EQ(batcher.depth(), 0);
}

TEST(DeadlineBatcherTest, RefusesOnArrivalWhatCannotBeMet) {
  DeadlineBatcher batcher = ExactBatcher(8);
  EXPECT_THAT(batcher.Add(Request(kStart + 2 * kMs), kStart),
              StatusIs(absl::StatusCode::kDeadlineExceeded,
                       HasSubstr("needs about 2.5ms for 1 row, the deadline is in 2ms")));
  EXPECT_THAT(batcher.Add(Request(kStart - kMs), kStart),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
}

TEST(DeadlineBatcherTest, LetsOneThroughNowAndThenWhenItRefusesEverything) {
  DeadlineBatcher batcher = ExactBatcher(8);
  int let_through = 0;
  for (int i = 0; i <= 350; ++i) {
    const absl::Time now = kStart + i * 10 * kMs;
    if (batcher.Add(Request(now + kMs), now).ok()) {
      ++let_through;
      EXPECT_THAT(batcher.Pick(now).batch, SizeIs(1));
    }
  }
  EXPECT_EQ(let_through, 3);
}

TEST(DeadlineBatcherTest, RecoversFromPredictionsThatRefuseEverything) {
  DeadlineBatcher batcher = Batcher(8);
  batcher.latency().AddAnchor(1, 10 * Truth(1));  // warmed up on a busy machine
  batcher.latency().AddAnchor(64, 10 * Truth(64));
  absl::Time now = kStart;
  int tries = 0;
  for (; tries < 3000; ++tries, now += 10 * kMs) {
    if (!batcher.Add(Request(now + 6 * kMs), now).ok()) continue;
    if (batcher.Pick(now).batch.empty()) continue;
    batcher.latency().Observe(1, Truth(1));
    if (batcher.latency().Mean(1) < 1.1 * Truth(1)) break;
  }
  EXPECT_LT(tries, 1500);
}

TEST(DeadlineBatcherTest, RefusesWhenTheQueueIsFull) {
  DeadlineBatcher batcher = Batcher(8, absl::ZeroDuration(), 2);
  for (int i = 0; i < 2; ++i)
    ASSERT_THAT(batcher.Add(Request(absl::InfiniteFuture()), kStart), IsOk());
  EXPECT_THAT(batcher.Add(Request(absl::InfiniteFuture()), kStart),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("2 requests wait already")));
}

TEST(DeadlineBatcherTest, CancelledRequestsLeaveTheQueue) {
  DeadlineBatcher batcher = ExactBatcher(8);
  const auto stays = Request(kStart + 100 * kMs);
  const auto leaves = Request(kStart + 50 * kMs);
  ASSERT_THAT(batcher.Add(stays, kStart), IsOk());
  ASSERT_THAT(batcher.Add(leaves, kStart), IsOk());
  EXPECT_TRUE(batcher.Remove(*leaves));
  EXPECT_FALSE(batcher.Remove(*leaves));
  EXPECT_THAT(batcher.Pick(kStart).batch, ::testing::ElementsAre(stays));
  EXPECT_FALSE(batcher.Remove(*stays));
}

TEST(DeadlineBatcherTest, ARequestWithoutDeadlineIsNotStarved) {
  DeadlineBatcher batcher = ExactBatcher(1);
  const auto patient = Request(absl::InfiniteFuture());
  ASSERT_THAT(batcher.Add(patient, kStart), IsOk());
  absl::Time now = kStart;
  bool ran = false;
  // One urgent request every 2.5 ms, exactly as many as can be served.
  while (!ran && now < kStart + 10 * DeadlineBatcher::kPatience) {
    ASSERT_THAT(batcher.Add(Request(now + 20 * kMs), now), IsOk());
    const auto decision = batcher.Pick(now);
    ran = std::count(decision.batch.begin(), decision.batch.end(), patient) > 0;
    now += Truth(1);
  }
  EXPECT_TRUE(ran);
  EXPECT_LE(now, kStart + DeadlineBatcher::kPatience + 20 * kMs);
}

TEST(DeadlineBatcherTest, AJumpOfTheClockDropsTheLateAndServesTheRest) {
  DeadlineBatcher batcher = ExactBatcher(8, 5 * kMs);
  ASSERT_THAT(batcher.Add(Request(kStart + 50 * kMs), kStart), IsOk());
  const auto rest = Request(absl::InfiniteFuture());
  ASSERT_THAT(batcher.Add(rest, kStart), IsOk());
  const auto decision = batcher.Pick(kStart + absl::Hours(5));
  EXPECT_THAT(decision.dropped, SizeIs(1));
  EXPECT_THAT(decision.batch, ::testing::ElementsAre(rest));
}

// One worker, arrivals at random, service exactly as predicted.
struct Simulated {
  int served = 0;
  int missed = 0;
  int dropped = 0;
  absl::Duration busy;
  absl::Time end = kStart;
};

Simulated Simulate(DeadlineBatcher& batcher, int count, absl::Duration mean_gap,
                   absl::Duration least_budget, absl::Duration most_budget) {
  CounterRandom random(3, 0);
  std::vector<std::pair<absl::Time, absl::Duration>> arrivals;
  absl::Time at = kStart;
  for (int i = 0; i < count; ++i) {
    at += 2 * mean_gap * random.Uniform();
    arrivals.emplace_back(at, least_budget + (most_budget - least_budget) * random.Uniform());
  }
  Simulated result;
  absl::Time now = kStart;
  size_t next = 0;
  while (next < arrivals.size() || batcher.depth() > 0) {
    for (; next < arrivals.size() && arrivals[next].first <= now; ++next) {
      if (!batcher.Add(Request(arrivals[next].first + arrivals[next].second), now).ok()) {
        ++result.dropped;
      }
    }
    const auto decision = batcher.Pick(now);
    result.dropped += static_cast<int>(decision.dropped.size());
    if (!decision.batch.empty()) {
      const absl::Duration took = Truth(static_cast<int64_t>(decision.batch.size()));
      batcher.latency().Observe(static_cast<int64_t>(decision.batch.size()), took);
      now += took;
      result.busy += took;
      for (const auto& request : decision.batch) {
        ++result.served;
        if (now > request->deadline) ++result.missed;
      }
      continue;
    }
    absl::Time wake = decision.wait_until;
    if (next < arrivals.size()) wake = std::min(wake, arrivals[next].first);
    if (wake == absl::InfiniteFuture()) break;
    now = std::max(now, wake);
  }
  result.end = now;
  return result;
}

TEST(DeadlineBatcherTest, NothingThatRunsMissesWhenPredictionsAreExact) {
  for (const absl::Duration delay : {absl::ZeroDuration(), 10 * kMs}) {
    DeadlineBatcher batcher = ExactBatcher(16, delay);
    const Simulated result = Simulate(batcher, 5000, 0.7 * kMs, 3 * kMs, 60 * kMs);
    EXPECT_EQ(result.missed, 0);
    EXPECT_EQ(result.served + result.dropped, 5000);
    EXPECT_GT(result.served, 2500);
  }
}

TEST(DeadlineBatcherTest, ThroughputIsWithinFivePercentOfTheOptimum) {
  DeadlineBatcher batcher = ExactBatcher(16);
  // Twice what full batches can serve, with room for full batches in every deadline: the optimum
  // runs full batches without a pause.
  const absl::Duration per_row = Truth(16) / 16;
  const Simulated result = Simulate(batcher, 8000, per_row / 2, 200 * kMs, 300 * kMs);
  const double optimum = absl::FDivDuration(result.end - kStart, per_row);
  EXPECT_GT(result.served, 0.95 * optimum);
  EXPECT_EQ(result.missed, 0);
}

TEST(DeadlineBatcherTest, ATightRequestGoesFirstWhileAllCanBeMet) {
  DeadlineBatcher batcher = ExactBatcher(16);
  const auto tight = Request(kStart + 2.6 * kMs);
  ASSERT_THAT(batcher.Add(tight, kStart), IsOk());
  for (int i = 0; i < 16; ++i) ASSERT_THAT(batcher.Add(Request(kStart + 50 * kMs), kStart), IsOk());
  EXPECT_THAT(batcher.Pick(kStart).batch, ::testing::ElementsAre(tight));
  EXPECT_THAT(batcher.Pick(kStart + 2.5 * kMs).batch, SizeIs(16));
}

TEST(DeadlineBatcherTest, ATightRequestDoesNotCostManyOthersTheirDeadline) {
  DeadlineBatcher batcher = ExactBatcher(16);
  ASSERT_THAT(batcher.Add(Request(kStart + 2.6 * kMs), kStart), IsOk());
  // Sixteen rows take 10 ms: after the tight one, these would all be late.
  for (int i = 0; i < 16; ++i) ASSERT_THAT(batcher.Add(Request(kStart + 11 * kMs), kStart), IsOk());
  EXPECT_THAT(batcher.Pick(kStart).batch, SizeIs(16));
  EXPECT_THAT(batcher.Pick(kStart + 10 * kMs).dropped, SizeIs(1));
}

TEST(DeadlineBatcherTest, TakesAFullBatchOutOfAThousand) {
  DeadlineBatcher batcher = ExactBatcher(16);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_THAT(batcher.Add(Request(kStart + (1000 + i) * kMs), kStart), IsOk());
  }
  EXPECT_EQ(batcher.Backlog(), batcher.latency().Mean(1000));
  EXPECT_THAT(batcher.Pick(kStart).batch, SizeIs(16));
  EXPECT_EQ(batcher.depth(), 984);
}

}  // namespace
}  // namespace penstock::expert
