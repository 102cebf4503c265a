#include "gateway/forwarding/forwarder.h"

#include <memory>
#include <optional>
#include <string>
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
  std::shared_ptr<OutgoingCall> Forward() {
    auto answered = std::make_shared<bool>(false);
    return forwarder_.Forward("pool", Bytes(std::string("request")), {},
                              [this, answered](InferReply reply) {
                                EXPECT_FALSE(*answered) << "answered twice";
                                *answered = true;
                                reply_ = std::move(reply);
                              });
  }
  // Enough quick answers for the pool to have a 0.99 quantile.
  void LearnLatency() {
    a_.AnswerWith(Ok("quick"));
    b_.AnswerWith(Ok("quick"));
    for (int i = 0; i < 100; ++i) {
      Forward();
      reply_.reset();
    }
    a_.AnswerWith(nullptr);
    b_.AnswerWith(nullptr);
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
