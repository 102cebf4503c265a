#include "gateway/caching/flights.h"

#include <memory>
#include <string>
#include <vector>

#include "tests/gateway/caching/caching_fixture.h"

namespace penstock::gateway {
namespace {

using Source = CacheObserver::Source;

class FlightsTest : public CachingTest {
 protected:
  AskOptions Until(absl::Duration from_now) { return {.deadline = clock_.Now() + from_now}; }
  void Share() {
    SetPolicy({.version = "v1",
               .ttl = absl::Seconds(60),
               .share_between_tenants = true,
               .max_entry_bytes = 1 << 20});
  }
};

TEST_F(FlightsTest, EqualRequestsAreOneRun) {
  std::vector<std::shared_ptr<Asked>> asked;
  for (int i = 0; i < 1000; ++i) asked.push_back(Ask(RequestOf({1}, std::to_string(i))));
  ASSERT_EQ(runs(), 1u);
  EXPECT_EQ(events_.open, 1u);
  Run(0)->Reply(AnswerOf(5));
  for (int i = 0; i < 1000; ++i) {
    const ReadReply read = Read(*asked[i]);
    EXPECT_EQ(read.y, 5);
    EXPECT_EQ(read.id, std::to_string(i));
    EXPECT_EQ(read.Number("penstock_energy_j"), i == 0 ? 3.5 : 0.0);
    EXPECT_EQ(read.Text("penstock_cache"), i == 0 ? "miss" : "hit");
  }
  EXPECT_EQ(events_.sources[Source::kRun], 1);
  EXPECT_EQ(events_.sources[Source::kFlight], 999);
  EXPECT_EQ(events_.open, 0u);
}

TEST_F(FlightsTest, GoesOnWhenTheFirstLeaves) {
  const auto first = Ask(RequestOf({1}));
  const auto second = Ask(RequestOf({1}, "second"));
  first->call->Cancel();
  EXPECT_TRUE(absl::IsCancelled(first->reply->status));
  EXPECT_FALSE(Run(0)->cancelled());
  const auto third = Ask(RequestOf({1}));
  Run(0)->Reply(AnswerOf(5));
  EXPECT_EQ(Read(*second).y, 5);
  EXPECT_EQ(Read(*second).id, "second");
  EXPECT_EQ(Read(*third).y, 5);
  EXPECT_EQ(runs(), 1u);
}

TEST_F(FlightsTest, IsCancelledWhenTheLastLeaves) {
  const auto first = Ask(RequestOf({1}));
  const auto second = Ask(RequestOf({1}));
  first->call->Cancel();
  second->call->Cancel();
  EXPECT_TRUE(Run(0)->cancelled());
  EXPECT_TRUE(absl::IsCancelled(second->reply->status));
  EXPECT_EQ(events_.open, 0u);
  Ask(RequestOf({1}));
  EXPECT_EQ(runs(), 2u);
}

TEST_F(FlightsTest, NobodyJoinsAFlightThatWasCancelled) {
  router_.IgnoreCancel();
  const auto first = Ask(RequestOf({1}));
  first->call->Cancel();
  EXPECT_FALSE(first->reply.has_value());  // until the run is over
  const auto second = Ask(RequestOf({1}));
  ASSERT_EQ(runs(), 2u);
  Run(0)->Reply(absl::CancelledError(""));
  EXPECT_TRUE(absl::IsCancelled(first->reply->status));
  EXPECT_FALSE(second->reply.has_value());
  Run(1)->Reply(AnswerOf(5));
  EXPECT_EQ(Read(*second).y, 5);
}

TEST_F(FlightsTest, EveryWaiterKeepsItsOwnDeadline) {
  const auto first = Ask(RequestOf({1}), Until(absl::Milliseconds(1000)));
  const auto sooner = Ask(RequestOf({1}), Until(absl::Milliseconds(950)));
  const auto later = Ask(RequestOf({1}), Until(absl::Seconds(10)));
  ASSERT_EQ(runs(), 1u);
  timers_.AdvanceAndRun(absl::Milliseconds(950));
  EXPECT_TRUE(absl::IsDeadlineExceeded(sooner->reply->status));
  EXPECT_FALSE(first->reply.has_value());
  timers_.AdvanceAndRun(absl::Milliseconds(40));
  Run(0)->Reply(AnswerOf(5));
  EXPECT_EQ(Read(*first).y, 5);
  EXPECT_EQ(Read(*later).y, 5);
}

TEST_F(FlightsTest, TheLastDeadlineCancelsTheRun) {
  const auto only = Ask(RequestOf({1}), Until(absl::Seconds(1)));
  timers_.AdvanceAndRun(absl::Seconds(1));
  EXPECT_TRUE(Run(0)->cancelled());
  EXPECT_TRUE(absl::IsDeadlineExceeded(only->reply->status));
}

TEST_F(FlightsTest, NoTimerIsLeftBehind) {
  Ask(RequestOf({1}), Until(absl::Seconds(1)));
  Ask(RequestOf({1}), Until(absl::Seconds(2)))->call->Cancel();
  Run(0)->Reply(AnswerOf(5));
  EXPECT_EQ(timers_.scheduled(), 0u);
}

TEST_F(FlightsTest, RunsWithTheDeadlineByWhichTheRouterChooses) {
  Ask(RequestOf({1}), Until(absl::Seconds(1)));
  EXPECT_EQ(Run(0)->options().deadline, clock_.Now() + absl::Seconds(1));
}

TEST_F(FlightsTest, WhoHasClearlyLessTimeDoesNotWaitForASlowerChoice) {
  const auto patient = Ask(RequestOf({1}));
  const auto hasty = Ask(RequestOf({1}), Until(absl::Milliseconds(100)));
  ASSERT_EQ(runs(), 2u);
  EXPECT_EQ(Run(1)->options().deadline, clock_.Now() + absl::Milliseconds(100));
  // The hasty one's flight is there for others like it.
  const auto as_hasty = Ask(RequestOf({1}), Until(absl::Milliseconds(100)));
  EXPECT_EQ(runs(), 2u);
  Run(1)->Reply(AnswerOf(5));
  EXPECT_EQ(Read(*hasty).y, 5);
  EXPECT_EQ(Read(*as_hasty).y, 5);
  Run(0)->Reply(AnswerOf(6));
  EXPECT_EQ(Read(*patient).y, 6);
}

TEST_F(FlightsTest, ALatencyBudgetIsADeadlineToo) {
  const auto patient = Ask(RequestOf({1}), Until(absl::Seconds(10)));
  InferRequest hasty = RequestOf({1});
  hasty.parameters.push_back({"timeout", int64_t{100'000}});
  Ask(hasty);
  EXPECT_EQ(runs(), 2u);
}

TEST_F(FlightsTest, AFailureIsNotThatOfWaitersWithMoreTime) {
  const auto first = Ask(RequestOf({1}), Until(absl::Seconds(1)));
  const auto as_long = Ask(RequestOf({1}), Until(absl::Seconds(1)));
  const auto longer = Ask(RequestOf({1}), Until(absl::Seconds(2)));
  const auto longest = Ask(RequestOf({1}), Until(absl::Seconds(3)));
  Run(0)->Reply(absl::DeadlineExceededError("too slow"));
  EXPECT_TRUE(absl::IsDeadlineExceeded(first->reply->status));
  EXPECT_TRUE(absl::IsDeadlineExceeded(as_long->reply->status));
  EXPECT_FALSE(longer->reply.has_value());
  ASSERT_EQ(runs(), 2u);
  EXPECT_EQ(Run(1)->options().deadline, clock_.Now() + absl::Seconds(3));
  Run(1)->Reply(AnswerOf(5));
  EXPECT_EQ(Read(*longer).Text("penstock_cache"), "miss");
  EXPECT_EQ(Read(*longest).Text("penstock_cache"), "hit");
  EXPECT_EQ(Read(*longest).y, 5);
}

TEST_F(FlightsTest, NobodyRunsMoreThanOnceMore) {
  const auto first = Ask(RequestOf({1}), Until(absl::Seconds(1)));
  const auto longer = Ask(RequestOf({1}), Until(absl::Seconds(2)));
  const auto longest = Ask(RequestOf({1}), Until(absl::Seconds(3)));
  Run(0)->Reply(absl::InternalError("one"));
  Run(1)->Reply(absl::InternalError("two"));
  EXPECT_EQ(runs(), 2u);
  EXPECT_EQ(first->reply->status.message(), "one");
  EXPECT_EQ(longer->reply->status.message(), "two");
  EXPECT_EQ(longest->reply->status.message(), "two");
  EXPECT_EQ(events_.open, 0u);
}

TEST_F(FlightsTest, WhoJoinsTheSecondRunHasAnotherToo) {
  Ask(RequestOf({1}), Until(absl::Seconds(1)));
  const auto longer = Ask(RequestOf({1}), Until(absl::Seconds(2)));
  Run(0)->Reply(absl::InternalError("one"));
  const auto joined = Ask(RequestOf({1}), Until(absl::Seconds(5)));
  ASSERT_EQ(runs(), 2u);
  Run(1)->Reply(absl::InternalError("two"));
  EXPECT_EQ(longer->reply->status.message(), "two");
  ASSERT_EQ(runs(), 3u);
  Run(2)->Reply(AnswerOf(5));
  EXPECT_EQ(Read(*joined).y, 5);
}

TEST_F(FlightsTest, WhatIsWrongWithTheRequestIsSaidToAll) {
  const auto first = Ask(RequestOf({1}), Until(absl::Seconds(1)));
  const auto longer = Ask(RequestOf({1}), Until(absl::Seconds(2)));
  Run(0)->Reply(absl::InvalidArgumentError("bad shape"));
  EXPECT_TRUE(absl::IsInvalidArgument(first->reply->status));
  EXPECT_TRUE(absl::IsInvalidArgument(longer->reply->status));
  EXPECT_EQ(runs(), 1u);
}

TEST_F(FlightsTest, AFailureWithoutMoreTimeIsSharedWithItsTrailers) {
  const auto first = Ask(RequestOf({1}));
  const auto second = Ask(RequestOf({1}));
  Run(0)->Reply({absl::ResourceExhaustedError("full"), {}, {{"retry-after-ms", "70"}}});
  for (const auto& asked : {first, second}) {
    EXPECT_TRUE(absl::IsResourceExhausted(asked->reply->status));
    EXPECT_EQ(FindMetadata(asked->reply->trailers, "retry-after-ms"), "70");
  }
}

TEST_F(FlightsTest, TheFirstTenantPays) {
  Share();
  Ask(RequestOf({1}), {.tenant = "a"});
  const auto other = Ask(RequestOf({1}), {.tenant = "b"});
  ASSERT_EQ(runs(), 1u);
  EXPECT_EQ(FindMetadata(Run(0)->options().metadata, "penstock-tenant"), "a");
  Run(0)->Reply(AnswerOf(5));
  EXPECT_EQ(Read(*other).Number("penstock_energy_j"), 0.0);
}

TEST_F(FlightsTest, OneTenantsSpentBudgetIsNotAnothers) {
  Share();
  const auto spent = Ask(RequestOf({1}), {.tenant = "a"});
  const auto other = Ask(RequestOf({1}), {.tenant = "b"});
  Run(0)->Reply(absl::ResourceExhaustedError("budget"));
  EXPECT_TRUE(absl::IsResourceExhausted(spent->reply->status));
  ASSERT_EQ(runs(), 2u);
  EXPECT_EQ(FindMetadata(Run(1)->options().metadata, "penstock-tenant"), "b");
  Run(1)->Reply(AnswerOf(5));
  EXPECT_EQ(Read(*other).Number("penstock_energy_j"), 3.5);
}

TEST_F(FlightsTest, ADegradedAnswerIsForThoseWhoseLimitsDegradedIt) {
  const InferReply degraded = AnswerOf(5, {{"penstock_degraded", std::string("deadline")}});
  const auto first = Ask(RequestOf({1}), Until(absl::Seconds(1)));
  const auto as_long = Ask(RequestOf({1}), Until(absl::Seconds(1)));
  const auto longer = Ask(RequestOf({1}), Until(absl::Seconds(2)));
  Run(0)->Reply(degraded);
  EXPECT_EQ(Read(*first).Text("penstock_degraded"), "deadline");
  EXPECT_EQ(Read(*as_long).Text("penstock_degraded"), "deadline");
  ASSERT_EQ(runs(), 2u);
  Run(1)->Reply(AnswerOf(6));
  EXPECT_EQ(Read(*longer).y, 6);
  EXPECT_EQ(Read(*longer).Text("penstock_degraded"), "");
}

TEST_F(FlightsTest, NoRouterIsAFailureLikeAnother) {
  router_.SetHealthy(false);
  const auto asked = Ask(RequestOf({1}), Until(absl::Seconds(1)));
  EXPECT_TRUE(absl::IsUnavailable(asked->reply->status));
  EXPECT_EQ(events_.open, 0u);
}

}  // namespace
}  // namespace penstock::gateway
