#include "expert_service/faults/fault_injector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <thread>
#include <vector>

#include "common/config/yaml_config.h"
#include "common/notification.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_incoming_call.h"
#include "tests/support/fake_timers.h"
#include "tests/support/status_matchers.h"

namespace penstock::expert {
namespace {

using absl::StatusCode;
using ::testing::HasSubstr;

config::v1::Fault Config(const std::string& yaml) {
  config::v1::Fault config;
  EXPECT_THAT(ReadYaml(yaml, config), IsOk());
  return config;
}

absl::Status Check(const std::string& yaml) {
  return FaultInjector::ReadOptions(Config(yaml)).status();
}

// Answers at once, or keeps its calls.
class Service final : public InferHandler {
 public:
  void ModelInfer(std::shared_ptr<IncomingCall> call) override {
    if (on_call) on_call(*call);
    if (keeps) {
      call->SetCancelHandler([this] { ++cancelled; });
      kept.push_back(std::move(call));
    } else {
      call->Finish(InferReply());
    }
  }
  std::function<void(const IncomingCall& call)> on_call;
  bool keeps = false;
  int cancelled = 0;
  std::vector<std::shared_ptr<IncomingCall>> kept;
};

class FaultInjectorTest : public testing::Test {
 protected:
  void Inject(const std::string& yaml) {
    const auto options = FaultInjector::ReadOptions(Config(yaml));
    ASSERT_THAT(options.status(), IsOk());
    injector_ = std::make_unique<FaultInjector>(*options, service_, clock_, timers_);
  }
  std::shared_ptr<FakeIncomingCall> Send() {
    auto call = std::make_shared<FakeIncomingCall>(Bytes());
    injector_->ModelInfer(call);
    return call;
  }

  FakeClock clock_;
  FakeTimers timers_{clock_};
  Service service_;
  std::unique_ptr<FaultInjector> injector_;
};

TEST_F(FaultInjectorTest, EveryRequestIsHeldFirst) {
  Inject("hold: 0.005s");
  const auto call = Send();
  timers_.AdvanceAndRun(absl::Milliseconds(4.9));
  EXPECT_FALSE(call->finished());
  timers_.AdvanceAndRun(absl::Milliseconds(0.1));
  EXPECT_THAT(call->WaitForReply().status, IsOk());
}

TEST_F(FaultInjectorTest, BeyondItsSlotsRequestsWaitInOrderOfArrival) {
  Inject("{hold: 0.010s, slots: 2}");
  std::vector<std::shared_ptr<FakeIncomingCall>> calls;
  for (int i = 0; i < 5; ++i) calls.push_back(Send());
  const auto finished = [&calls] {
    std::string which;
    for (const auto& call : calls) which += call->finished() ? 'x' : '.';
    return which;
  };
  timers_.AdvanceAndRun(absl::Milliseconds(10));
  EXPECT_EQ(finished(), "xx...");
  calls[2]->Cancel();  // held: its slot is free at once
  timers_.AdvanceAndRun(absl::Milliseconds(9.9));
  EXPECT_EQ(finished(), "xxx..");
  timers_.AdvanceAndRun(absl::Milliseconds(0.1));
  EXPECT_EQ(finished(), "xxxxx");
}

TEST_F(FaultInjectorTest, AClientThatGoesWhileItWaitsLeavesTheSlotsAsTheyAre) {
  Inject("{hold: 0.010s, slots: 1}");
  const auto first = Send();
  const auto second = Send();
  const auto third = Send();
  second->Cancel();
  timers_.AdvanceAndRun(absl::Milliseconds(9.9));
  EXPECT_FALSE(first->finished());
  timers_.AdvanceAndRun(absl::Milliseconds(0.1));
  EXPECT_TRUE(first->finished());
  EXPECT_FALSE(third->finished());
  timers_.AdvanceAndRun(absl::Milliseconds(10));
  EXPECT_TRUE(third->finished());
}

TEST_F(FaultInjectorTest, StoppingAnswersWhoWaitsForASlot) {
  Inject("{hold: 0.010s, slots: 1}");
  const auto held = Send();
  const auto waiting = Send();
  injector_->Stop();
  EXPECT_THAT(held->WaitForReply().status, StatusIs(StatusCode::kUnavailable));
  EXPECT_THAT(waiting->WaitForReply().status, StatusIs(StatusCode::kUnavailable));
}

TEST_F(FaultInjectorTest, AShareStallsForItsFactorTimesTheMedian) {
  Inject("{hold: 0.005s, stall_share: 0.02, stall_factor: 20, seed: 7}");
  constexpr int kRequests = 20'000;
  int stalled = 0;
  for (int i = 0; i < kRequests; ++i) {
    const auto call = Send();
    timers_.AdvanceAndRun(absl::Milliseconds(5));
    if (call->finished()) continue;
    ++stalled;
    timers_.AdvanceAndRun(absl::Milliseconds(94));
    EXPECT_FALSE(call->finished());
    timers_.AdvanceAndRun(absl::Milliseconds(1));
    EXPECT_TRUE(call->finished());
  }
  // Four standard deviations: 4 sqrt(20000 * .02 * .98) = 79.
  EXPECT_NEAR(stalled, 400, 79);
}

TEST_F(FaultInjectorTest, TheMedianIsOfWhatRequestsTake) {
  Inject("{stall_share: 0.3, stall_factor: 10, seed: 7}");
  service_.keeps = true;
  std::vector<std::shared_ptr<FakeIncomingCall>> stalled;
  for (int i = 0; i < 40; ++i) {
    const auto call = Send();
    timers_.AdvanceAndRun(absl::Milliseconds(3));
    if (service_.kept.empty()) {
      stalled.push_back(call);
      break;
    }
    service_.kept.back()->Finish(InferReply());
    service_.kept.clear();
  }
  // With nothing known and nothing held for, none stalls before the first answer.
  ASSERT_EQ(stalled.size(), 1u);
  timers_.AdvanceAndRun(absl::Milliseconds(26));  // 29 of 30
  EXPECT_TRUE(service_.kept.empty());
  timers_.AdvanceAndRun(absl::Milliseconds(1));
  ASSERT_EQ(service_.kept.size(), 1u);
  service_.kept[0]->Finish(InferReply());
  EXPECT_TRUE(stalled[0]->finished());
}

TEST_F(FaultInjectorTest, AShareFailsWithItsCode) {
  Inject("{fail_share: 0.25, fail_code: INTERNAL, seed: 3}");
  int failed = 0;
  for (int i = 0; i < 4000; ++i) {
    const absl::Status status = Send()->WaitForReply().status;
    if (status.ok()) continue;
    ++failed;
    EXPECT_THAT(status, StatusIs(StatusCode::kInternal, HasSubstr("a fault was injected")));
  }
  // Four standard deviations: 4 sqrt(4000 * .25 * .75) = 110.
  EXPECT_NEAR(failed, 1000, 110);
}

TEST_F(FaultInjectorTest, TheSeedSaysWhichRequestsAreHit) {
  const auto hits = [this](int seed) {
    Inject(absl::StrCat("{fail_share: 0.5, seed: ", seed, "}"));
    std::vector<bool> failed;
    for (int i = 0; i < 64; ++i) failed.push_back(!Send()->WaitForReply().status.ok());
    return failed;
  };
  EXPECT_EQ(hits(1), hits(1));
  EXPECT_NE(hits(1), hits(2));
}

TEST_F(FaultInjectorTest, AClientThatGoesAwayEndsWhatIsHeld) {
  Inject("hold: 5s");
  const auto call = Send();
  call->Cancel();
  EXPECT_THAT(call->WaitForReply().status, StatusIs(StatusCode::kCancelled));
  EXPECT_EQ(timers_.scheduled(), 0u);
}

TEST_F(FaultInjectorTest, AClientThatGoesAwayCancelsWhatRuns) {
  Inject("hold: 0.001s");
  service_.keeps = true;
  const auto call = Send();
  timers_.AdvanceAndRun(absl::Milliseconds(1));
  ASSERT_EQ(service_.kept.size(), 1u);
  call->Cancel();
  EXPECT_EQ(service_.cancelled, 1);
  service_.kept[0]->Finish({.status = absl::CancelledError(""), .body = {}, .trailers = {}});
  EXPECT_TRUE(call->finished());
}

TEST_F(FaultInjectorTest, AClientThatHasGoneIsNotHeld) {
  Inject("hold: 5s");
  const auto call = std::make_shared<FakeIncomingCall>(Bytes());
  call->Cancel();
  injector_->ModelInfer(call);
  ASSERT_TRUE(call->finished());
  EXPECT_THAT(call->WaitForReply().status, StatusIs(StatusCode::kCancelled));
  EXPECT_EQ(timers_.scheduled(), 0u);
}

// One message of a stream.
class StreamedCall final : public IncomingCall {
 public:
  const Bytes& request() const override { return request_; }
  absl::Time deadline() const override { return absl::InfiniteFuture(); }
  const Metadata& metadata() const override { return metadata_; }
  const Caller& caller() const override { return caller_; }
  bool streamed() const override { return true; }
  void SetCancelHandler(absl::AnyInvocable<void()>) override {}
  void Finish(InferReply) override {}

 private:
  const Bytes request_ = {};
  const Metadata metadata_ = {};
  const Caller caller_ = {};
};

TEST_F(FaultInjectorTest, TheServiceSeesThatACallIsStreamed) {
  Inject("{}");
  std::vector<bool> streamed;
  service_.on_call = [&](const IncomingCall& call) { streamed.push_back(call.streamed()); };
  injector_->ModelInfer(std::make_shared<StreamedCall>());
  Send();
  EXPECT_THAT(streamed, testing::ElementsAre(true, false));
}

TEST_F(FaultInjectorTest, StoppingWaitsForWhatIsBeingReleased) {
  Inject("hold: 0.001s");
  Notification entered, go_on, stopped;
  service_.on_call = [&](const IncomingCall&) {
    entered.Notify();
    go_on.Wait();
  };
  const auto call = Send();
  std::thread timers([&] { timers_.AdvanceAndRun(absl::Milliseconds(1)); });
  entered.Wait();
  std::thread stops([&] {
    injector_->Stop();
    EXPECT_TRUE(call->finished());
    stopped.Notify();
  });
  EXPECT_FALSE(stopped.WaitWithTimeout(absl::Milliseconds(50)));
  go_on.Notify();
  timers.join();
  stops.join();
  EXPECT_THAT(call->WaitForReply().status, IsOk());
}

TEST_F(FaultInjectorTest, WhatIsHeldWhenItStopsIsUnavailable) {
  Inject("hold: 5s");
  const auto held = Send();
  injector_->Stop();
  EXPECT_THAT(held->WaitForReply().status, StatusIs(StatusCode::kUnavailable));
  EXPECT_THAT(Send()->WaitForReply().status, StatusIs(StatusCode::kUnavailable));
  EXPECT_EQ(timers_.scheduled(), 0u);
}

TEST_F(FaultInjectorTest, NoMoreThanItsMostAreHeld) {
  Inject("hold: 5s");
  for (size_t i = 0; i < FaultInjector::kMostHeld; ++i) Send();
  EXPECT_THAT(Send()->WaitForReply().status, StatusIs(StatusCode::kResourceExhausted));
}

TEST(FaultOptionsTest, NamesTheFieldThatIsOutOfRange) {
  EXPECT_THAT(Check("{stall_share: 0.02, stall_factor: 20, fail_share: 0.98}"), IsOk());
  EXPECT_THAT(Check("{stall_share: 0.8, stall_factor: 2, fail_share: 0.2}"), IsOk());
  EXPECT_THAT(Check("hold: 61s"), StatusIs(StatusCode::kInvalidArgument, HasSubstr("fault.hold")));
  EXPECT_THAT(Check("{hold: 1s, slots: 4097}"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("fault.slots")));
  EXPECT_THAT(Check("slots: 2"), StatusIs(StatusCode::kInvalidArgument, HasSubstr("fault.slots")));
  EXPECT_THAT(
      Check("stall_share: 1.5"),
      StatusIs(StatusCode::kInvalidArgument, HasSubstr("fault.stall_share is 1.5, wanted [0, 1]")));
  EXPECT_THAT(Check("stall_share: 0.5"),
              StatusIs(StatusCode::kInvalidArgument,
                       HasSubstr("fault.stall_factor is 0, wanted [1, 1000]")));
  EXPECT_THAT(Check("{stall_share: 0.5, stall_factor: 2, fail_share: 0.6}"),
              StatusIs(StatusCode::kInvalidArgument,
                       HasSubstr("fault.fail_share is 0.6, wanted [0, 0.5]")));
  for (const char* code : {"OK", "NOPE"}) {
    EXPECT_THAT(Check(absl::StrCat("fail_code: ", code)),
                StatusIs(StatusCode::kInvalidArgument,
                         HasSubstr(absl::StrCat("fault.fail_code is ", code))));
  }
}

}  // namespace
}  // namespace penstock::expert
