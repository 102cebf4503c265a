// Spans of a router: one of the request, and one of each attempt beneath it.

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "common/tracing/tracer.h"
#include "tests/common/tracing/kept_spans.h"
#include "tests/router_service/pipeline_tests/router_fixture.h"

namespace penstock::router {
namespace {

constexpr char kTraceparent[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
constexpr char kReplicas[] = R"(
pools:
- name: pool
  hedging: {quantile: 0.5, extra_dispatches: 1}
  experts:
  - {name: small, quality: 0.8, replicas: [{address: "small:1"}, {address: "small:2"}]}
)";

class TracingPipeline : public RouterFixture {
 protected:
  void SetUp() override {
    RouterFixture::SetUp();
    tracer_ = std::make_shared<Tracer>(
        Tracer::Options{.sample_share = 0},
        std::make_shared<SpanBatcher>(SpanBatcher::Options(), clock_, timers_, kept_, kept_),
        clock_.Now());
  }
  // By start, what ended; the request's own first.
  std::vector<const SpanRecord*> Spans() {
    timers_.AdvanceAndRun(absl::Seconds(2));
    std::vector<const SpanRecord*> spans;
    for (const auto& span : kept_.spans()) spans.push_back(span.get());
    std::sort(spans.begin(), spans.end(), [](const SpanRecord* a, const SpanRecord* b) {
      return std::pair(a->start, a->kind != SpanKind::kServer) <
             std::pair(b->start, b->kind != SpanKind::kServer);
    });
    return spans;
  }
  static std::string TextOf(const SpanRecord& span, const std::string& key) {
    for (const SpanAttribute& attribute : span.attributes) {
      if (attribute.key != key) continue;
      if (const auto* text = std::get_if<std::string>(&attribute.value)) return *text;
      if (const auto* count = std::get_if<int64_t>(&attribute.value)) return absl::StrCat(*count);
    }
    return "";
  }
  std::shared_ptr<FakeIncomingCall> SendTraced() {
    return Send(MakeRequest(), absl::InfiniteDuration(),
                {{kTraceparentMetadata, kTraceparent},
                 {kRequestIdMetadata, "r-1"},
                 {kTenantMetadata, "acme"}});
  }

  KeptSpans kept_;
};

TEST_F(TracingPipeline, AHedgeIsASpanAndTheLoserNoError) {
  Build(kReplicas);
  const auto open_at = [&] {
    const auto calls = Target("small:1").calls();
    return !calls.empty() && !calls.back()->finished() ? "small:1" : "small:2";
  };
  for (int i = 0; i < 3; ++i) {  // until it is known what is slow
    const auto call = Send(MakeRequest());
    timers_.AdvanceAndRun(absl::Milliseconds(2));
    Target(open_at()).calls().back()->Reply(MakeReply(1, 0.9f, 0.1));
    ASSERT_THAT(call->WaitForReply().status, IsOk());
  }
  const auto call = SendTraced();
  const std::string first = open_at();
  FakeInferTarget& other = Target(first == "small:1" ? "small:2" : "small:1");
  const size_t before = other.calls().size();
  timers_.AdvanceAndRun(absl::Milliseconds(3));
  const auto second = other.WaitForCall(before);
  second->Reply(MakeReply(1, 0.9f, 0.2));
  ASSERT_THAT(call->WaitForReply().status, IsOk());
  const auto spans = Spans();
  ASSERT_EQ(spans.size(), 3u);
  EXPECT_EQ(spans[0]->parent, TraceContext::Parse(kTraceparent)->span);
  EXPECT_EQ(TextOf(*spans[0], kSpanDecision), Last().id());
  EXPECT_EQ(TextOf(*spans[0], kSpanTenant), "acme");
  EXPECT_FALSE(spans[0]->failed);
  for (size_t i : {size_t{1}, size_t{2}}) {
    EXPECT_EQ(spans[i]->parent, spans[0]->context.span);
    EXPECT_EQ(TextOf(*spans[i], kSpanExpert), "small");
    EXPECT_EQ(TextOf(*spans[i], kSpanRequest), "r-1");
    EXPECT_FALSE(spans[i]->failed);
  }
  EXPECT_EQ(TextOf(*spans[1], kSpanReason), "chosen");
  EXPECT_EQ(TextOf(*spans[1], "rpc.grpc.status_code"), "1");
  EXPECT_EQ(TextOf(*spans[2], kSpanReason), "hedge");
  EXPECT_EQ(TextOf(*spans[2], "rpc.grpc.status_code"), "0");
  // Each replica has the span of its own attempt.
  EXPECT_EQ(FindMetadata(second->options().metadata, kTraceparentMetadata),
            spans[2]->context.ToString());
}

TEST_F(TracingPipeline, AnEscalationIsASpan) {
  Build(absl::StrCat(kTwoExperts, "  cascade: {first: small, file: ", CascadeFile(), "}\n"));
  Target("big:1").AnswerWith(MakeReply(1, 0.99f, 1.0));
  Target("small:1").AnswerWith(MakeReply(1, 0.6f, 0.1));
  ASSERT_THAT(SendTraced()->WaitForReply().status, IsOk());
  std::vector<std::string> reasons;
  for (const SpanRecord* span : Spans()) {
    if (span->kind == SpanKind::kClient) reasons.push_back(TextOf(*span, kSpanReason));
  }
  std::sort(reasons.begin(), reasons.end());
  EXPECT_THAT(reasons, testing::ElementsAre("chosen", "escalation"));
}

TEST_F(TracingPipeline, AnAttemptThatTheDeadlineEndsIsAnError) {
  Build(kTwoExperts);
  const auto call =
      Send(MakeRequest(), absl::Milliseconds(200), {{kTraceparentMetadata, kTraceparent}});
  timers_.AdvanceAndRun(absl::Milliseconds(250));
  EXPECT_THAT(call->WaitForReply().status, StatusIs(absl::StatusCode::kDeadlineExceeded));
  const auto spans = Spans();
  ASSERT_EQ(spans.size(), 2u);
  for (const SpanRecord* span : spans) {
    EXPECT_TRUE(span->failed);
    EXPECT_EQ(TextOf(*span, "rpc.grpc.status_code"), "4");
  }
}

TEST_F(TracingPipeline, ARefusalEndsTheRequestsSpan) {
  Build(kTwoExperts);
  InferRequest request = MakeRequest();
  request.model_name = "nowhere";
  Send(request, absl::InfiniteDuration(), {{kTraceparentMetadata, kTraceparent}});
  const auto spans = Spans();
  ASSERT_EQ(spans.size(), 1u);
  EXPECT_TRUE(spans[0]->failed);
  EXPECT_EQ(TextOf(*spans[0], "rpc.grpc.status_code"), "5");
}

TEST_F(TracingPipeline, WithoutATracerTheTraceparentGoesOnAsItCame) {
  tracer_ = nullptr;
  Build(kTwoExperts);
  for (const char* address : {"small:1", "big:1"}) {
    Target(address).AnswerWith(MakeReply(1, 0.9f, 0.1));
  }
  ASSERT_THAT(
      Send(MakeRequest(), absl::InfiniteDuration(), {{kTraceparentMetadata, "of another make"}})
          ->WaitForReply()
          .status,
      IsOk());
  std::string heard;
  for (const char* address : {"small:1", "big:1"}) {
    for (const auto& call : Target(address).calls()) {
      heard = std::string(FindMetadata(call->options().metadata, kTraceparentMetadata));
    }
  }
  EXPECT_EQ(heard, "of another make");
  EXPECT_TRUE(Spans().empty());
}

}  // namespace
}  // namespace penstock::router
