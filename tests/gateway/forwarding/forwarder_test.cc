#include "gateway/forwarding/forwarder.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_infer_target.h"
#include "tests/support/fake_timers.h"

namespace penstock::gateway {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct Retries final : Forwarder::Observer {
  void Retried(absl::string_view why) override { reasons.emplace_back(why); }
  std::vector<std::string> reasons;
};

InferReply Ok(const std::string& body) {
  return {.status = absl::OkStatus(), .body = Bytes(body), .trailers = {}};
}

class ForwarderTest : public ::testing::Test {
 protected:
  // A call that is never answered keeps itself alive, as one at a real target would.
  void TearDown() override {
    a_.SetHealthy(false);
    b_.SetHealthy(false);
    for (FakeInferTarget* target : {&a_, &b_}) {
      for (const auto& call : target->calls()) call->Reply(absl::CancelledError("test ended"));
    }
  }
  std::shared_ptr<OutgoingCall> Forward(absl::Duration time = absl::InfiniteDuration()) {
    auto answered = std::make_shared<bool>(false);
    CallOptions options;
    options.deadline = clock_.Now() + time;
    return forwarder_.Forward("pool", Bytes(std::string("request")), std::move(options),
                              [this, answered](InferReply reply) {
                                EXPECT_FALSE(*answered) << "answered twice";
                                *answered = true;
                                reply_ = std::move(reply);
                              });
  }
  // Enough answers for the pool to have a 0.99 quantile.
  void LearnLatency(absl::Duration latency = absl::ZeroDuration()) {
    AnswerAfter(latency);
    for (int i = 0; i < 100; ++i) {
      Forward();
      reply_.reset();
    }
    a_.AnswerWith(nullptr);
    b_.AnswerWith(nullptr);
  }
  void AnswerAfter(absl::Duration latency) {
    for (FakeInferTarget* target : {&a_, &b_}) {
      target->AnswerWith([this, latency](const Bytes&, const CallOptions&) {
        clock_.Advance(latency);
        return Ok("answer");
      });
    }
  }
  // `a` says nothing to as many requests as make it the last choice; `b` answers.
  void SilenceA() {
    LearnLatency();
    b_.AnswerWith(Ok("b"));
    for (int i = 0; i < Forwarder::kSilencesToAvoid; ++i) {
      Forward();
      timers_.AdvanceAndRun(Forwarder::kShortestSilence);
      EXPECT_TRUE(a_.calls().back()->cancelled());
    }
    retries_.reasons.clear();
  }

  FakeClock clock_;
  FakeTimers timers_{clock_};
  FakeInferTarget a_{"a:1"};
  FakeInferTarget b_{"b:1"};
  Retries retries_;
  Forwarder forwarder_{{&a_, &b_}, clock_, timers_, retries_};
  std::optional<InferReply> reply_;
};

TEST_F(ForwarderTest, PrefersTheRouterWithFewerInFlight) {
  Forward();
  Forward();
  EXPECT_EQ(a_.calls().size(), 1u);
  EXPECT_EQ(b_.calls().size(), 1u);
}

TEST_F(ForwarderTest, LeavesOutUnhealthyRouters) {
  a_.SetHealthy(false);
  Forward();
  EXPECT_THAT(a_.calls(), IsEmpty());
  EXPECT_EQ(b_.calls().size(), 1u);
}

TEST_F(ForwarderTest, SaysUnavailableWhenNoRouterIsHealthy) {
  a_.SetHealthy(false);
  b_.SetHealthy(false);
  Forward();
  ASSERT_TRUE(reply_.has_value());
  EXPECT_TRUE(absl::IsUnavailable(reply_->status));
}

TEST_F(ForwarderTest, AsksAnotherRouterOnceAfterUnavailable) {
  Forward();
  a_.calls()[0]->Reply(absl::UnavailableError("draining"));
  ASSERT_FALSE(reply_.has_value());
  b_.calls()[0]->Reply(Ok("answer"));
  ASSERT_TRUE(reply_.has_value());
  EXPECT_EQ(reply_->body.ToString(), "answer");
  EXPECT_THAT(retries_.reasons, ElementsAre("unavailable"));
}

TEST_F(ForwarderTest, PassesTheSecondFailureOn) {
  Forward();
  a_.calls()[0]->Reply(absl::UnavailableError("one"));
  b_.calls()[0]->Reply(absl::UnavailableError("two"));
  ASSERT_TRUE(reply_.has_value());
  EXPECT_EQ(reply_->status.message(), "two");
  EXPECT_EQ(a_.calls().size() + b_.calls().size(), 2u);
}

TEST_F(ForwarderTest, AsksAnotherRouterAfterACancelThatNobodyAskedFor) {
  Forward();
  a_.calls()[0]->Reply(absl::CancelledError(""));
  EXPECT_EQ(b_.calls().size(), 1u);
}

TEST_F(ForwarderTest, ACancelThatNobodyAskedForReachesTheCallerAsUnavailable) {
  b_.SetHealthy(false);
  Forward();
  a_.calls()[0]->Reply(absl::CancelledError(""));
  ASSERT_TRUE(reply_.has_value());
  EXPECT_TRUE(absl::IsUnavailable(reply_->status));
}

TEST_F(ForwarderTest, DoesNotRetryWhatTheCallerCancelled) {
  const auto call = Forward();
  call->Cancel();
  ASSERT_TRUE(reply_.has_value());
  EXPECT_TRUE(absl::IsCancelled(reply_->status));
  EXPECT_TRUE(a_.calls()[0]->cancelled());
  EXPECT_THAT(b_.calls(), IsEmpty());
}

TEST_F(ForwarderTest, DoesNotRetryAClientsError) {
  Forward();
  a_.calls()[0]->Reply(absl::InvalidArgumentError("bad shape"));
  ASSERT_TRUE(reply_.has_value());
  EXPECT_TRUE(absl::IsInvalidArgument(reply_->status));
  EXPECT_THAT(b_.calls(), IsEmpty());
}

TEST_F(ForwarderTest, AsksAnotherRouterWhenTheFirstIsSilent) {
  LearnLatency();
  const size_t before_a = a_.calls().size();
  const size_t before_b = b_.calls().size();
  Forward();
  ASSERT_EQ(a_.calls().size(), before_a + 1);
  timers_.AdvanceAndRun(absl::Seconds(1));
  ASSERT_EQ(b_.calls().size(), before_b + 1);
  EXPECT_TRUE(a_.calls().back()->cancelled());
  b_.calls().back()->Reply(Ok("second"));
  ASSERT_TRUE(reply_.has_value());
  EXPECT_EQ(reply_->body.ToString(), "second");
  EXPECT_THAT(retries_.reasons, ElementsAre("silent"));
}

TEST_F(ForwarderTest, WaitsOnForASilentRouterWhenThereIsNoOther) {
  LearnLatency();
  b_.SetHealthy(false);
  Forward();
  timers_.AdvanceAndRun(absl::Seconds(10));
  ASSERT_FALSE(reply_.has_value());
  a_.calls().back()->Reply(Ok("late"));
  ASSERT_TRUE(reply_.has_value());
  EXPECT_TRUE(reply_->status.ok());
}

TEST_F(ForwarderTest, ASecondRouterThatComesBackMeanwhileIsAsked) {
  LearnLatency();
  b_.SetHealthy(false);
  Forward(absl::Seconds(2));
  timers_.AdvanceAndRun(absl::Milliseconds(500));
  EXPECT_THAT(retries_.reasons, IsEmpty());
  b_.SetHealthy(true);
  b_.AnswerWith(Ok("b"));
  timers_.AdvanceAndRun(Forwarder::kShortestSilence);
  ASSERT_TRUE(reply_.has_value());
  EXPECT_EQ(reply_->body.ToString(), "b");
}

TEST_F(ForwarderTest, WithoutAQuantileHalfOfTheTimeIsLeftToAnotherRouter) {
  Forward(absl::Seconds(2));
  timers_.AdvanceAndRun(absl::Milliseconds(999));
  EXPECT_THAT(b_.calls(), IsEmpty());
  timers_.AdvanceAndRun(absl::Milliseconds(1));
  EXPECT_EQ(b_.calls().size(), 1u);
}

TEST_F(ForwarderTest, WithoutAQuantileAndADeadlineItWaits) {
  Forward();
  timers_.AdvanceAndRun(absl::Hours(1));
  EXPECT_THAT(b_.calls(), IsEmpty());
}

TEST_F(ForwarderTest, HalfOfTheTimeIsLeftWhereAnAnswerTakesLess) {
  LearnLatency(absl::Milliseconds(600));  // four times that would be beyond the deadline
  const size_t before = b_.calls().size();
  Forward(absl::Seconds(2));
  timers_.AdvanceAndRun(absl::Milliseconds(999));
  EXPECT_EQ(b_.calls().size(), before);
  timers_.AdvanceAndRun(absl::Milliseconds(1));
  EXPECT_EQ(b_.calls().size(), before + 1);
}

TEST_F(ForwarderTest, NobodyIsAskedTwiceWhereHalfOfTheTimeIsTooShortForAnAnswer) {
  LearnLatency(absl::Milliseconds(1200));
  const size_t before = b_.calls().size();
  Forward(absl::Seconds(2));
  timers_.AdvanceAndRun(absl::Seconds(2));
  EXPECT_EQ(b_.calls().size(), before);
}

TEST_F(ForwarderTest, ARouterThatStaysSilentIsTheLastChoice) {
  SilenceA();
  const size_t before = a_.calls().size();
  b_.AnswerWith(nullptr);
  for (int i = 0; i < 5; ++i) Forward();
  EXPECT_EQ(a_.calls().size(), before) << "though it has fewer in flight";
  b_.SetHealthy(false);
  Forward();
  EXPECT_EQ(a_.calls().size(), before + 1) << "but rather it than nobody";
}

TEST_F(ForwarderTest, ASilentRouterIsAskedNowAndThenAndTrustedOnceItAnswers) {
  SilenceA();
  size_t before = a_.calls().size();
  const auto probes = [&](absl::Duration later) {
    timers_.AdvanceAndRun(later);
    for (int i = 0; i < 3; ++i) Forward();
    timers_.AdvanceAndRun(Forwarder::kShortestSilence);
    return a_.calls().size() - std::exchange(before, a_.calls().size());
  };
  EXPECT_EQ(probes(Forwarder::kFirstProbe), 1u);
  EXPECT_EQ(probes(Forwarder::kFirstProbe / 2), 0u);
  EXPECT_EQ(probes(2 * Forwarder::kFirstProbe), 1u);
  EXPECT_TRUE(reply_->status.ok()) << "who probes is answered by the other";
  a_.AnswerWith(Ok("a"));
  EXPECT_EQ(probes(Forwarder::kLastProbe), 3u) << "the first is a probe, and then it is one of two";
}

TEST_F(ForwarderTest, WhoIsSilentUntilTheDeadlineIsSilentToo) {
  LearnLatency(absl::Seconds(1));
  for (int i = 0; i < Forwarder::kSilencesToAvoid; ++i) {
    Forward(absl::Seconds(1));
    clock_.Advance(absl::Seconds(1));
    a_.calls().back()->Reply(absl::DeadlineExceededError("Deadline Exceeded"));
  }
  const size_t before = b_.calls().size();
  Forward(absl::Seconds(1));
  EXPECT_EQ(b_.calls().size(), before + 1);
}

TEST_F(ForwarderTest, WhoIsSilentUntilItsCallerGivesUpAtTheDeadlineIsSilentToo) {
  LearnLatency(absl::Seconds(1));
  const auto give_up = [&](absl::Duration after) {
    for (int i = 0; i < Forwarder::kSilencesToAvoid; ++i) {
      const auto call = Forward(absl::Seconds(1));
      clock_.Advance(after);
      call->Cancel();
    }
    const size_t before = b_.calls().size();
    const auto next = Forward(absl::Seconds(1));
    next->Cancel();
    return b_.calls().size() > before;
  };
  EXPECT_FALSE(give_up(absl::Milliseconds(900)));
  EXPECT_TRUE(give_up(absl::Milliseconds(995)));
}

TEST_F(ForwarderTest, WhereNobodyElseCanBeAskedASilenceCostsNothingOfTheBudget) {
  LearnLatency();
  b_.SetHealthy(false);
  for (int i = 0; i < 500; ++i) Forward(absl::Seconds(2));
  timers_.AdvanceAndRun(absl::Seconds(1));  // each is silent twenty times over
  b_.SetHealthy(true);
  timers_.AdvanceAndRun(Forwarder::kShortestSilence);
  EXPECT_GE(retries_.reasons.size(), 100u);
}

TEST_F(ForwarderTest, TheSilenceOfAnAttemptCountsOnce) {
  LearnLatency();
  b_.SetHealthy(false);
  Forward(absl::Seconds(10));
  timers_.AdvanceAndRun(10 * Forwarder::kShortestSilence);
  b_.SetHealthy(true);
  b_.AnswerWith(Ok("b"));
  timers_.AdvanceAndRun(Forwarder::kShortestSilence);
  const size_t before = a_.calls().size();
  Forward();
  EXPECT_EQ(a_.calls().size(), before + 1) << "one silence makes it nobody's last choice";
}

TEST_F(ForwarderTest, WhereNobodyElseCanBeAskedItLooksAgainAfterAWhile) {
  b_.SetHealthy(false);
  Forward(absl::Milliseconds(200));  // no quantile is known: half of what is left
  timers_.AdvanceAndRun(absl::Milliseconds(100));
  EXPECT_EQ(timers_.scheduled(), 1u);
  timers_.AdvanceAndRun(Forwarder::kShortestSilence - absl::Milliseconds(1));
  b_.SetHealthy(true);
  EXPECT_THAT(b_.calls(), IsEmpty());
  timers_.AdvanceAndRun(absl::Milliseconds(1));
  EXPECT_EQ(b_.calls().size(), 1u);
}

TEST_F(ForwarderTest, WhatComesAfterItsEndIsDropped) {
  auto clock = std::make_unique<FakeClock>();
  auto timers = std::make_unique<FakeTimers>(*clock);
  auto forwarder =
      std::make_unique<Forwarder>(std::vector<InferTarget*>{&a_, &b_}, *clock, *timers, retries_);
  a_.IgnoreCancel();
  bool answered = false;
  CallOptions options;
  options.deadline = clock->Now() + absl::Seconds(2);
  forwarder->Forward("pool", Bytes(std::string("request")), std::move(options),
                     [&](InferReply) { answered = true; });
  timers->AdvanceAndRun(absl::Seconds(1));
  ASSERT_EQ(b_.calls().size(), 1u);
  b_.calls()[0]->Reply(Ok("b"));
  EXPECT_TRUE(answered);
  forwarder.reset();
  timers.reset();
  clock.reset();
  // The attempt that was given up tells of its end.
  EXPECT_TRUE(a_.calls()[0]->Reply(absl::DeadlineExceededError("late")));
}

// A timer's callback may be on its way already.
TEST_F(ForwarderTest, ASilenceThatIsNoticedAfterItsEndIsDropped) {
  auto forwarder =
      std::make_unique<Forwarder>(std::vector<InferTarget*>{&a_, &b_}, clock_, timers_, retries_);
  CallOptions options;
  options.deadline = clock_.Now() + absl::Seconds(2);
  forwarder->Forward("pool", Bytes(std::string("request")), std::move(options), [](InferReply) {});
  forwarder.reset();
  timers_.AdvanceAndRun(absl::Seconds(1));
  EXPECT_THAT(b_.calls(), IsEmpty());
}

TEST_F(ForwarderTest, SecondAttemptsAfterASilenceHaveABudget) {
  LearnLatency();
  constexpr int kRequests = 200;
  for (int i = 0; i < kRequests; ++i) Forward();
  timers_.AdvanceAndRun(Forwarder::kShortestSilence);
  // A hundred to begin with, and a tenth of the three hundred requests so far, which fade.
  EXPECT_GE(retries_.reasons.size(), 125u);
  EXPECT_LE(retries_.reasons.size(), 130u);
}

TEST_F(ForwarderTest, CountsInFlightDownAfterEveryEnd) {
  Forward();
  a_.calls()[0]->Reply(absl::UnavailableError("x"));
  b_.calls()[0]->Reply(Ok("y"));
  // Both idle again: the first router is the first choice.
  Forward();
  EXPECT_EQ(a_.calls().size(), 2u);
}

TEST_F(ForwarderTest, OtherRoutersGetWhatComesAndThoseBeforeEndWhatTheyHave) {
  const auto kept = std::shared_ptr<InferTarget>(&a_, [](InferTarget*) {});
  const auto fresh = std::make_shared<FakeInferTarget>("c:1");
  forwarder_.SetRouters({kept});
  Forward();
  forwarder_.SetRouters({kept, fresh});
  Forward();  // one is in flight at `a` already
  EXPECT_EQ(a_.calls().size(), 1u);
  EXPECT_EQ(fresh->calls().size(), 1u);
  forwarder_.SetRouters({fresh});
  Forward();
  EXPECT_EQ(fresh->calls().size(), 2u);
  a_.calls()[0]->Reply(Ok("answer"));
  ASSERT_TRUE(reply_.has_value());
  EXPECT_EQ(reply_->body.ToString(), "answer");
  for (const auto& call : fresh->calls()) call->Reply(Ok("end"));
}

}  // namespace
}  // namespace penstock::gateway
