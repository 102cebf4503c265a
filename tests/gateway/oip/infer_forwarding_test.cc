#include "gateway/oip/infer_forwarding.h"

#include <memory>
#include <string>
#include <vector>

#include "common/tensors/infer_message.h"
#include "gateway/caching/kept_answer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_incoming_call.h"
#include "tests/support/fake_infer_target.h"
#include "tests/support/fake_timers.h"

namespace penstock::gateway {
namespace {

struct Events final : InferForwarding::Observer, Forwarder::Observer {
  void RequestAnswered(absl::string_view pool, absl::StatusCode code, absl::Duration) override {
    answered.push_back(std::string(pool) + ":" + std::string(absl::StatusCodeToString(code)));
  }
  void Waiting(uint32_t, uint32_t admitted) override { in_flight = admitted; }
  void Waited(absl::Duration) override {}
  void DeadlineEnded(absl::string_view pool, bool met) override {
    deadlines.push_back(std::string(pool) + (met ? ":met" : ":missed"));
  }
  void Shed(absl::string_view pool, ShedReason reason) override {
    sheds.push_back(reason);
    shed_pools.emplace_back(pool);
  }
  void LimitChanged(absl::string_view, uint32_t) override {}
  void Retried(absl::string_view) override {}
  std::vector<std::string> answered;
  std::vector<std::string> deadlines;
  std::vector<ShedReason> sheds;
  std::vector<std::string> shed_pools;
  uint32_t in_flight = 0;
};

Bytes RequestFor(const std::string& pool) {
  InferRequest request;
  request.model_name = pool;
  return EncodeInferRequest(request);
}

class InferForwardingTest : public ::testing::Test {
 protected:
  void SetUp() override { Build(/*max_in_flight=*/10, /*max_queue=*/10); }
  // A call that is never answered keeps itself alive, as one at a real router would.
  void TearDown() override {
    router_.SetHealthy(false);
    for (const auto& call : router_.calls()) call->Reply(absl::CancelledError("test ended"));
  }
  void Build(uint32_t max_in_flight, uint32_t max_queue) {
    config::v1::ApiKeys keys;
    // SHA-256 of "abc".
    keys.add_keys()->set_sha256("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    keys.mutable_keys(0)->set_tenant("team");
    keys.mutable_keys(0)->add_pools("digits");
    authenticator_ = *Authenticator::FromKeys(keys, clock_);
    config::v1::Admission admission;
    admission.set_max_in_flight(max_in_flight);
    admission.set_max_queue(max_queue);
    handler_.reset();
    admission_ = *Admission::Create(admission, clock_, timers_, events_);
    quotas_ = *TenantQuotas::Create({}, clock_);
    handler_ = std::make_unique<InferForwarding>(InferForwarding::Deps{
        *authenticator_, *admission_, *quotas_, forwarder_, events_, clock_, "instance"});
  }
  std::shared_ptr<FakeIncomingCall> Call(Bytes request, Metadata metadata = {
                                                            {"authorization", "Bearer abc"}}) {
    auto call = std::make_shared<FakeIncomingCall>(std::move(request), absl::InfiniteFuture(),
                                                   std::move(metadata));
    handler_->ModelInfer(call);
    return call;
  }

  FakeClock clock_;
  FakeTimers timers_{clock_};
  FakeInferTarget router_{"router:1"};
  Events events_;
  Forwarder forwarder_{{&router_}, clock_, timers_, events_};
  std::unique_ptr<Authenticator> authenticator_;
  std::unique_ptr<Admission> admission_;
  std::unique_ptr<TenantQuotas> quotas_;
  std::unique_ptr<InferForwarding> handler_;
};

TEST_F(InferForwardingTest, PassesTheRequestThroughAsItCame) {
  const Bytes request = RequestFor("digits");
  const auto call = Call(request);
  ASSERT_EQ(router_.calls().size(), 1u);
  EXPECT_TRUE(router_.calls()[0]->request() == request);
  router_.calls()[0]->Reply({.status = absl::OkStatus(),
                             .body = Bytes(std::string("answer")),
                             .trailers = {{"x", "y"}, {"penstock-answer-version", "v"}}});
  EXPECT_EQ(call->WaitForReply().body.ToString(), "answer");
  EXPECT_EQ(call->WaitForReply().trailers.size(), 1u);
}

TEST_F(InferForwardingTest, TellsTheRouterWhoAsksAndNothingTheCallerSaysOfItself) {
  Call(RequestFor("digits"), {{"authorization", "Bearer abc"},
                              {"penstock-tenant", "somebody-else"},
                              {"penstock-rights", "admin"},
                              {"traceparent", "00-1-2-01"}});
  ASSERT_EQ(router_.calls().size(), 1u);
  const Metadata& sent = router_.calls()[0]->options().metadata;
  EXPECT_EQ(FindMetadata(sent, "penstock-tenant"), "team");
  EXPECT_EQ(FindMetadata(sent, "penstock-rights"), "pool=digits");
  EXPECT_EQ(FindMetadata(sent, "traceparent"), "00-1-2-01");
  EXPECT_EQ(FindMetadata(sent, "authorization"), "");
}

TEST_F(InferForwardingTest, RefusesStrangersBeforeAnythingIsForwarded) {
  const auto call = Call(RequestFor("digits"), {});
  EXPECT_TRUE(absl::IsUnauthenticated(call->WaitForReply().status));
  EXPECT_TRUE(router_.calls().empty());
}

TEST_F(InferForwardingTest, RefusesPoolsThatTheTenantMayNotCall) {
  const auto call = Call(RequestFor("secret"));
  EXPECT_TRUE(absl::IsPermissionDenied(call->WaitForReply().status));
  EXPECT_TRUE(router_.calls().empty());
}

TEST_F(InferForwardingTest, RefusesBytesThatDoNotParse) {
  const auto call = Call(Bytes(std::string("\xff\xff\xff\xff")));
  EXPECT_TRUE(absl::IsInvalidArgument(call->WaitForReply().status));
}

TEST_F(InferForwardingTest, SaysWhenToComeBackIfTheQueueIsFull) {
  Build(/*max_in_flight=*/1, /*max_queue=*/0);
  Call(RequestFor("digits"));
  const auto refused = Call(RequestFor("digits"));
  const InferReply reply = refused->WaitForReply();
  EXPECT_TRUE(absl::IsResourceExhausted(reply.status));
  EXPECT_NE(FindMetadata(reply.trailers, "retry-after-ms"), "");
  EXPECT_EQ(FindMetadata(reply.trailers, "grpc-retry-pushback-ms"),
            FindMetadata(reply.trailers, "retry-after-ms"));
  EXPECT_THAT(events_.sheds, ::testing::ElementsAre(ShedReason::kQueueFull));
  EXPECT_THAT(events_.shed_pools, ::testing::ElementsAre("digits"));
  router_.calls()[0]->Reply(absl::OkStatus());
}

TEST_F(InferForwardingTest, SaysToGrpcsClientsWhatTheRouterSaysToOips) {
  const auto call = Call(RequestFor("digits"));
  router_.calls()[0]->Reply({.status = absl::ResourceExhaustedError("budget"),
                             .body = {},
                             .trailers = {{"retry-after-ms", "700"}}});
  const Metadata trailers = call->WaitForReply().trailers;
  EXPECT_EQ(FindMetadata(trailers, "grpc-retry-pushback-ms"), "700");
  EXPECT_EQ(trailers.size(), 2u);
}

TEST_F(InferForwardingTest, CancelsTheRouterWhenTheClientGoesAway) {
  const auto call = Call(RequestFor("digits"));
  call->Cancel();
  EXPECT_TRUE(router_.calls()[0]->cancelled());
  EXPECT_TRUE(absl::IsCancelled(call->WaitForReply().status));
}

TEST_F(InferForwardingTest, AWaiterThatIsCancelledIsNeverForwarded) {
  Build(/*max_in_flight=*/1, /*max_queue=*/5);
  Call(RequestFor("digits"));
  const auto waiting = Call(RequestFor("digits"));
  waiting->Cancel();
  EXPECT_TRUE(absl::IsCancelled(waiting->WaitForReply().status));
  router_.calls()[0]->Reply(absl::OkStatus());
  EXPECT_EQ(router_.calls().size(), 1u);
}

TEST_F(InferForwardingTest, NothingIsInFlightOnceEverybodyIsAnswered) {
  Call(RequestFor("digits"));
  Call(RequestFor("digits"));
  EXPECT_EQ(events_.in_flight, 2u);
  router_.calls()[0]->Reply(absl::OkStatus());
  router_.calls()[1]->Reply(absl::OkStatus());
  EXPECT_EQ(events_.in_flight, 0u);
}

// Said between the cache and admission; a caller hears nothing of it.
TEST_F(InferForwardingTest, WhetherAnAnswerWasKeptIsNotForCallers) {
  const auto call = Call(RequestFor("digits"));
  router_.calls()[0]->Reply(KeptReply({Bytes(std::string("answer"))}, ""));
  EXPECT_THAT(call->WaitForReply().trailers, ::testing::IsEmpty());
}

TEST_F(InferForwardingTest, KeptAnswersSayNothingOfThePlatformsPace) {
  Build(/*max_in_flight=*/1, /*max_queue=*/10);
  const auto answer = [&](absl::Duration took, bool kept) {
    Call(RequestFor("digits"));
    clock_.Advance(took);
    router_.calls().back()->Reply(
        kept ? KeptReply({Bytes(std::string("answer"))}, "")
             : InferReply{.status = absl::OkStatus(), .body = {}, .trailers = {}});
  };
  for (int i = 0; i < 200; ++i) answer(absl::Milliseconds(100), false);
  for (int i = 0; i < 200; ++i) answer(absl::ZeroDuration(), true);
  Call(RequestFor("digits"));  // holds the only place
  // Answers take 100 ms: with 60 left, one that waits would be late.
  auto late = std::make_shared<FakeIncomingCall>(RequestFor("digits"),
                                                 clock_.Now() + absl::Milliseconds(60),
                                                 Metadata{{"authorization", "Bearer abc"}});
  handler_->ModelInfer(late);
  EXPECT_TRUE(absl::IsResourceExhausted(late->WaitForReply().status));
}

TEST_F(InferForwardingTest, CountsEveryAnswerByPoolAndCode) {
  Call(RequestFor("digits"));
  router_.calls()[0]->Reply(absl::OkStatus());
  EXPECT_THAT(events_.answered, ::testing::ElementsAre("digits:OK"));
  EXPECT_THAT(events_.deadlines, ::testing::IsEmpty());
}

TEST_F(InferForwardingTest, TellsWhichDeadlinesWereMet) {
  const auto ask = [&] {
    auto call = std::make_shared<FakeIncomingCall>(RequestFor("digits"),
                                                   clock_.Now() + absl::Milliseconds(100),
                                                   Metadata{{"authorization", "Bearer abc"}});
    handler_->ModelInfer(call);
    return call;
  };
  ask();
  clock_.Advance(absl::Milliseconds(100));
  router_.calls().back()->Reply(absl::OkStatus());
  EXPECT_THAT(events_.deadlines, ::testing::ElementsAre("digits:met"));

  events_.deadlines.clear();
  ask();
  clock_.Advance(absl::Milliseconds(101));
  router_.calls().back()->Reply(absl::OkStatus());
  ask();
  router_.calls().back()->Reply(absl::DeadlineExceededError("late"));
  // Its caller's clock has run out, and the deadline as it came here has not.
  const auto left = ask();
  clock_.Advance(absl::Milliseconds(98));
  left->Cancel();
  EXPECT_THAT(events_.deadlines,
              ::testing::ElementsAre("digits:missed", "digits:missed", "digits:missed"));

  events_.deadlines.clear();
  const auto early = ask();
  early->Cancel();
  ask();
  router_.calls().back()->Reply(absl::InvalidArgumentError("shape"));
  EXPECT_THAT(events_.deadlines, ::testing::IsEmpty());
}

}  // namespace
}  // namespace penstock::gateway
