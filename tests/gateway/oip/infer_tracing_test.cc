// Spans of a gateway: one of the request, and one of each attempt at a router.

#include <memory>
#include <string>
#include <vector>

#include "common/net/caller_rights.h"
#include "common/tensors/infer_message.h"
#include "common/tracing/infer_trace.h"
#include "common/tracing/tracer.h"
#include "gateway/oip/infer_forwarding.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/common/tracing/kept_spans.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_incoming_call.h"
#include "tests/support/fake_infer_target.h"
#include "tests/support/fake_timers.h"

namespace penstock::gateway {
namespace {

constexpr char kSampled[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

struct NoEvents final : InferForwarding::Observer, Forwarder::Observer {
  void RequestAnswered(absl::string_view, absl::StatusCode, absl::Duration) override {}
  void Waiting(uint32_t, uint32_t) override {}
  void Waited(absl::Duration) override {}
  void Shed(absl::string_view, ShedReason) override {}
  void LimitChanged(absl::string_view, uint32_t) override {}
  void DeadlineEnded(absl::string_view, bool) override {}
  void Retried(absl::string_view) override {}
};

class InferTracingTest : public ::testing::Test {
 protected:
  InferTracingTest() {
    authenticator_ = *Authenticator::Create({}, clock_, nullptr);
    admission_ = *Admission::Create({}, clock_, timers_, events_);
    quotas_ = *TenantQuotas::Create({}, clock_);
    handler_ = std::make_unique<InferForwarding>(
        InferForwarding::Deps{*authenticator_, *admission_, *quotas_, forwarder_, events_, clock_,
                              "instance", nullptr, tracer_.get()});
  }
  std::shared_ptr<FakeIncomingCall> Call(const std::string& traceparent) {
    InferRequest request;
    request.model_name = "digits";
    auto call = std::make_shared<FakeIncomingCall>(
        EncodeInferRequest(request), absl::InfiniteFuture(),
        traceparent.empty() ? Metadata() : Metadata{{kTraceparentMetadata, traceparent}});
    handler_->ModelInfer(call);
    return call;
  }
  static InferReply AnswerOf(const std::string& decision) {
    InferResponse response;
    response.model_name = "digits";
    response.parameters = {{"penstock_decision_id", decision},
                           {"penstock_energy_j", 2.5},
                           {"payload", std::string("secret")}};
    return {.status = absl::OkStatus(), .body = EncodeInferResponse(response), .trailers = {}};
  }
  const SpanBatch& Spans() {
    timers_.AdvanceAndRun(absl::Seconds(2));
    return kept_.spans();
  }
  static const SpanAttribute::Value* Find(const SpanRecord& span, const std::string& key) {
    for (const SpanAttribute& attribute : span.attributes) {
      if (attribute.key == key) return &attribute.value;
    }
    return nullptr;
  }
  static std::string Text(const SpanRecord& span, const std::string& key) {
    const auto* value = Find(span, key);
    return value == nullptr ? "" : std::get<std::string>(*value);
  }

  FakeClock clock_;
  FakeTimers timers_{clock_};
  KeptSpans kept_;
  const std::shared_ptr<Tracer> tracer_ = std::make_shared<Tracer>(
      Tracer::Options{.sample_share = 0},
      std::make_shared<SpanBatcher>(SpanBatcher::Options(), clock_, timers_, kept_, kept_),
      clock_.Now());
  FakeInferTarget one_{"router:1"};
  FakeInferTarget other_{"router:2"};
  NoEvents events_;
  Forwarder forwarder_{{&one_, &other_}, clock_, timers_, events_, tracer_.get()};
  std::unique_ptr<Authenticator> authenticator_;
  std::unique_ptr<Admission> admission_;
  std::unique_ptr<TenantQuotas> quotas_;
  std::unique_ptr<InferForwarding> handler_;
};

TEST_F(InferTracingTest, TheRouterHasTheSpanOfTheForward) {
  const auto call = Call(kSampled);
  const auto sent = one_.WaitForCall(0);
  sent->Reply(AnswerOf("d-7"));
  ASSERT_TRUE(call->WaitForReply().status.ok());
  ASSERT_EQ(Spans().size(), 2u);
  const SpanRecord& forward = *Spans()[0];
  const SpanRecord& request = *Spans()[1];
  EXPECT_EQ(request.parent, TraceContext::Parse(kSampled)->span);
  EXPECT_EQ(forward.parent, request.context.span);
  EXPECT_EQ(FindMetadata(sent->options().metadata, kTraceparentMetadata),
            forward.context.ToString());
  for (const SpanRecord* span : {&forward, &request}) {
    EXPECT_EQ(Text(*span, kSpanPool), "digits");
    EXPECT_EQ(Text(*span, kSpanTenant), "anonymous");
    EXPECT_EQ(Text(*span, kSpanRequest), "instance-1");
  }
  EXPECT_EQ(Text(request, kSpanDecision), "d-7");
  EXPECT_EQ(std::get<double>(*Find(request, kSpanJoules)), 2.5);
  for (const SpanAttribute& attribute : request.attributes) {
    const auto* text = std::get_if<std::string>(&attribute.value);
    EXPECT_TRUE(text == nullptr || *text != "secret") << attribute.key;
  }
}

TEST_F(InferTracingTest, ASecondRouterIsASecondSpan) {
  const auto call = Call(kSampled);
  one_.WaitForCall(0)->Reply(absl::UnavailableError("away"));
  other_.WaitForCall(0)->Reply(AnswerOf("d-8"));
  ASSERT_TRUE(call->WaitForReply().status.ok());
  ASSERT_EQ(Spans().size(), 3u);
  EXPECT_TRUE(Spans()[0]->failed);
  EXPECT_EQ(std::get<int64_t>(*Find(*Spans()[0], kSpanAttempt)), 1);
  EXPECT_FALSE(Spans()[1]->failed);
  EXPECT_EQ(std::get<int64_t>(*Find(*Spans()[1], kSpanAttempt)), 2);
  EXPECT_EQ(Spans()[0]->parent, Spans()[1]->parent);
}

TEST_F(InferTracingTest, AnInvalidTraceparentGoesNoFurther) {
  const auto call = Call("00-1-2-01");
  const auto sent = one_.WaitForCall(0);
  const auto told =
      TraceContext::Parse(FindMetadata(sent->options().metadata, kTraceparentMetadata));
  ASSERT_TRUE(told.has_value());
  EXPECT_FALSE(told->sampled());
  sent->Reply(AnswerOf("d-9"));
  EXPECT_TRUE(Spans().empty());
}

TEST_F(InferTracingTest, AFailureIsAnError) {
  const auto call = Call(kSampled);
  one_.WaitForCall(0)->Reply(absl::InternalError("what the caller sent: 1 2 3"));
  EXPECT_TRUE(absl::IsInternal(call->WaitForReply().status));
  ASSERT_EQ(Spans().size(), 2u);
  for (const auto& span : Spans()) {
    EXPECT_TRUE(span->failed);
    EXPECT_EQ(std::get<int64_t>(*Find(*span, "rpc.grpc.status_code")), 13);
  }
}

}  // namespace
}  // namespace penstock::gateway
