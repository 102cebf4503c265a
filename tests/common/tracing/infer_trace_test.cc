#include "common/tracing/infer_trace.h"

#include <map>
#include <memory>
#include <string>

#include "common/net/caller_rights.h"
#include "common/tracing/tracer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/common/tracing/kept_spans.h"
#include "tests/support/allocation_count.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_incoming_call.h"
#include "tests/support/fake_timers.h"

namespace penstock {
namespace {

constexpr char kSampled[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
constexpr char kNotSampled[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

class InferTraceTest : public testing::Test {
 protected:
  const SpanBatch& Sent() {
    timers_.AdvanceAndRun(absl::Seconds(2));
    return collector_.spans();
  }
  static std::map<std::string, SpanAttribute::Value> Attributes(const SpanRecord& span) {
    std::map<std::string, SpanAttribute::Value> attributes;
    for (const SpanAttribute& attribute : span.attributes) {
      EXPECT_TRUE(attributes.emplace(attribute.key, attribute.value).second) << attribute.key;
    }
    return attributes;
  }

  FakeClock clock_;
  FakeTimers timers_{clock_};
  KeptSpans collector_;
  const std::shared_ptr<Tracer> tracer_ =
      std::make_shared<Tracer>(Tracer::Options{.sample_share = 0},
                               std::make_shared<SpanBatcher>(SpanBatcher::Options(), clock_,
                                                             timers_, collector_, collector_),
                               clock_.Now());
};

// What every request of a service without a collector does.
TEST_F(InferTraceTest, AllocatesNothingWhereNothingIsTraced) {
  const FakeIncomingCall call(Bytes(), absl::InfiniteFuture(), {{kTraceparentMetadata, kSampled}});
  Metadata metadata = {{kTraceparentMetadata, kSampled}, {kTenantMetadata, "team"}};
  const std::string pool = "pool";
  const absl::Time now = clock_.Now();
  const uint64_t before = AllocationsOfThread();
  for (int i = 0; i < 100; ++i) {
    ServedTrace trace(nullptr, call, now);
    trace.Propagate(metadata);
    Span client = BeginClientSpan(nullptr, metadata, "router:1", now);
    client.Set(kSpanPool, pool);
    client.Set(kSpanJoules, 1.5);
    SetTraceparent(client, metadata);
    EndRpcSpan(client, absl::StatusCode::kUnavailable, now);
    trace.span().Set(kSpanPool, pool);
    Span child = trace.span().Child("queue", SpanKind::kInternal, now);
    child.End(now);
    trace.End(absl::StatusCode::kOk, now);
  }
  EXPECT_EQ(AllocationsOfThread() - before, 0u);
  EXPECT_EQ(FindMetadata(metadata, kTraceparentMetadata), kSampled);
}

// A caller that is not traced costs a service that has a collector no memory either.
TEST_F(InferTraceTest, AllocatesNothingForACallerThatIsNotSampled) {
  const FakeIncomingCall call(Bytes(), absl::InfiniteFuture(),
                              {{kTraceparentMetadata, kNotSampled}});
  Metadata metadata = {{kTraceparentMetadata, kNotSampled}};
  const absl::Time now = clock_.Now();
  const uint64_t before = AllocationsOfThread();
  ServedTrace trace(tracer_.get(), call, now);
  trace.Propagate(metadata);
  Span client = BeginClientSpan(tracer_.get(), metadata, "router:1", now);
  EndRpcSpan(client, absl::StatusCode::kOk, now);
  trace.End(absl::StatusCode::kOk, now);
  EXPECT_EQ(AllocationsOfThread() - before, 0u);
  EXPECT_EQ(FindMetadata(metadata, kTraceparentMetadata), kNotSampled);
}

TEST_F(InferTraceTest, ServerAndClientSpansStandBeneathEachOther) {
  const FakeIncomingCall call(Bytes(), absl::InfiniteFuture(), {{kTraceparentMetadata, kSampled}});
  ServedTrace trace(tracer_.get(), call, clock_.Now());
  Metadata metadata = {{kTraceparentMetadata, kSampled}};
  trace.Propagate(metadata);
  Metadata sent = metadata;
  Span client = BeginClientSpan(tracer_.get(), sent, "10.0.0.7:8101", clock_.Now());
  const auto goes_on = TraceContext::Parse(FindMetadata(sent, kTraceparentMetadata));
  EndRpcSpan(client, absl::StatusCode::kOk, clock_.Now());
  trace.End(absl::StatusCode::kOk, clock_.Now());
  ASSERT_EQ(Sent().size(), 2u);
  const SpanRecord& client_span = *Sent()[0];
  const SpanRecord& server_span = *Sent()[1];
  EXPECT_EQ(server_span.kind, SpanKind::kServer);
  EXPECT_EQ(server_span.parent, 0x00f067aa0ba902b7u);
  EXPECT_EQ(client_span.kind, SpanKind::kClient);
  EXPECT_EQ(client_span.parent, server_span.context.span);
  ASSERT_TRUE(goes_on.has_value());
  EXPECT_EQ(*goes_on, client_span.context);
  auto attributes = Attributes(client_span);
  EXPECT_EQ(std::get<std::string>(attributes["rpc.system"]), "grpc");
  EXPECT_EQ(std::get<std::string>(attributes["rpc.service"]), "inference.GRPCInferenceService");
  EXPECT_EQ(std::get<std::string>(attributes["rpc.method"]), "ModelInfer");
  EXPECT_EQ(std::get<std::string>(attributes["server.address"]), "10.0.0.7");
  EXPECT_EQ(std::get<int64_t>(attributes["server.port"]), 8101);
  EXPECT_EQ(std::get<int64_t>(attributes["rpc.grpc.status_code"]), 0);
  EXPECT_FALSE(client_span.failed);
}

TEST_F(InferTraceTest, FailuresAreErrorsButOfCallsThatWereGivenUp) {
  const FakeIncomingCall call(Bytes(), absl::InfiniteFuture(), {{kTraceparentMetadata, kSampled}});
  ServedTrace trace(tracer_.get(), call, clock_.Now());
  Metadata metadata;
  trace.Propagate(metadata);
  Span failed = BeginClientSpan(tracer_.get(), metadata, "unix:/run/a", clock_.Now());
  Span given_up = trace.span().Child("b", SpanKind::kClient, clock_.Now());
  EndRpcSpan(failed, absl::StatusCode::kUnavailable, clock_.Now());
  EndRpcSpan(given_up, absl::StatusCode::kCancelled, clock_.Now(), true);
  trace.End(absl::StatusCode::kNotFound, clock_.Now());
  ASSERT_EQ(Sent().size(), 3u);
  EXPECT_TRUE(Sent()[0]->failed);
  EXPECT_FALSE(Sent()[1]->failed);
  EXPECT_TRUE(Sent()[2]->failed);
  auto attributes = Attributes(*Sent()[0]);
  EXPECT_EQ(std::get<int64_t>(attributes["rpc.grpc.status_code"]), 14);
  EXPECT_EQ(std::get<std::string>(attributes["server.address"]), "unix:/run/a");
}

TEST_F(InferTraceTest, ReplacesATraceparentThatIsNone) {
  const FakeIncomingCall call(Bytes(), absl::InfiniteFuture(),
                              {{kTraceparentMetadata, "00-1-2-01"}});
  const ServedTrace trace(tracer_.get(), call, clock_.Now());
  Metadata metadata = {{"a", "b"}, {kTraceparentMetadata, "00-1-2-01"}};
  trace.Propagate(metadata);
  EXPECT_EQ(metadata.size(), 2u);
  const auto goes_on = TraceContext::Parse(FindMetadata(metadata, kTraceparentMetadata));
  ASSERT_TRUE(goes_on.has_value());
  EXPECT_FALSE(goes_on->sampled());
}

}  // namespace
}  // namespace penstock
