// Traces over sockets: a collector of the test's own has the spans of a real gateway, router and
// expert, or is away.

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "absl/time/clock.h"
#include "cli/client/metrics_scrape.h"
#include "common/net/caller_rights.h"
#include "common/random.h"
#include "common/tracing/trace_context.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/client.h"
#include "tests/integration/fake_collector.h"
#include "tests/integration/fake_expert.h"
#include "tests/integration/process.h"
#include "tests/integration/test_models.h"
#include "tests/support/temp_dir.h"

namespace penstock {
namespace {

using opentelemetry::proto::trace::v1::Span;

constexpr char kGateway[] = "penstock-gateway";
constexpr char kRouter[] = "penstock-router";
constexpr char kExpert[] = "penstock-expert";
constexpr char kPlatform[] = "penstock";

// The first of a service and a kind; null: there is none.
const CollectedSpan* Find(const std::vector<CollectedSpan>& spans, const std::string& service,
                          Span::SpanKind kind) {
  for (const CollectedSpan& span : spans) {
    if (span.service == service && span.span.kind() == kind) return &span;
  }
  return nullptr;
}

// $0 address of the collector, $1 more
constexpr char kServer[] =
    R"({grpc: "127.0.0.1:0", metrics: "127.0.0.1:0", drain: {grace: 0s, timeout: 20s},
        tracing: {collector: {address: "$0"}, max_delay: 0.01s, max_per_second: 100000, $1}})";

std::string Server(const std::string& collector, const std::string& more) {
  return absl::Substitute(kServer, collector, more);
}

// Gateway, router and expert, each a process, and two experts of the test's own.
class Platform {
 public:
  // `tracing`: of all three, beside the collector.
  Platform(const std::string& collector, const std::string& tracing) {
    WriteTinyModel(models_, "tiny");
    const std::string server = Server(collector, tracing);
    expert_ = Process::Start(kExpert, absl::Substitute("server: $0\nmodel_repository: $1\n"
                                                       "trust_plaintext: true\n",
                                                       server, models_.path()));
    if (expert_ == nullptr) return;
    router_ = Process::Start(
        kRouter, absl::Substitute(
                     "server: $0\ntrust_plaintext: true\nlearning: OFF\npools:\n"
                     "  - {name: real, experts: [{name: tiny, replicas: [{address: \"$1\"}]}]}\n"
                     "  - {name: fakes, experts: [{name: fake, joules_per_row: 2, "
                     "replicas: [{address: \"$2\"}, {address: \"$3\"}]}]}\n",
                     server, expert_->grpc(), one_.address(), other_.address()));
    if (router_ == nullptr) return;
    gateway_ =
        Process::Start(kGateway, absl::Substitute("server: $0\nrouters: [{address: \"$1\"}]\n"
                                                  "identity: {anonymous_admin: true}\n",
                                                  server, router_->grpc()));
    if (gateway_ == nullptr) return;
    client_ = std::make_unique<TestClient>(gateway_->grpc());
    EXPECT_TRUE(client_->WaitForExperts());
  }

  bool ok() const { return client_ != nullptr; }
  FakeExpert& one() { return one_; }
  FakeExpert& other() { return other_; }
  TestClient& client() { return *client_; }

  InferReply Ask(const std::string& pool, const std::string& traceparent) {
    InferReply answer;
    Notification done;
    CallOptions options;
    options.metadata = client_->metadata();
    options.deadline = absl::Now() + absl::Seconds(60);
    if (!traceparent.empty()) options.metadata.emplace_back(kTraceparentMetadata, traceparent);
    client_->target().ModelInfer(EncodeInferRequest(TinyRequest(pool)), options,
                                 [&](InferReply reply) {
                                   answer = std::move(reply);
                                   done.Notify();
                                 });
    done.Wait();
    return answer;
  }

  // Over all three.
  double Spans(const std::string& result) {
    double sum = 0;
    for (const auto* service : {gateway_.get(), router_.get(), expert_.get()}) {
      sum += SpansAt(*service, result);
    }
    return sum;
  }
  double SpansAtGateway(const std::string& result) { return SpansAt(*gateway_, result); }

 private:
  static double SpansAt(const Process& service, const std::string& result) {
    const auto text = cli::ScrapeMetrics(service.metrics());
    EXPECT_TRUE(text.ok()) << text.status();
    if (!text.ok()) return 0;
    const std::string line = absl::StrCat("penstock_tracing_spans_total{result=\"", result, "\"} ");
    const size_t at = text->find(line);
    EXPECT_NE(at, std::string::npos) << *text;
    return at == std::string::npos ? 0 : std::stod(text->substr(at + line.size()));
  }

  TempDir models_;
  FakeExpert one_, other_;
  std::unique_ptr<Process> expert_, router_, gateway_;
  std::unique_ptr<TestClient> client_;
};

class TracingTest : public testing::Test {
 protected:
  struct Parts {
    FakeCollector collector;
    Platform platform{collector.address(), "sample_share: 1"};
  };
  static void SetUpTestSuite() { parts_ = std::make_unique<Parts>(); }
  static void TearDownTestSuite() { parts_ = nullptr; }
  void SetUp() override { ASSERT_TRUE(parts_->platform.ok()); }

  FakeCollector& collector() { return parts_->collector; }
  Platform& platform() { return parts_->platform; }

  // A trace of its own for each request of a test.
  static std::string Traceparent(uint64_t number, const char* flags) {
    return absl::StrCat("00-", absl::Hex(0xabcdef, absl::kZeroPad16),
                        absl::Hex(number, absl::kZeroPad16), "-00f067aa0ba902b7-", flags);
  }
  std::vector<CollectedSpan> WaitFor(const std::string& trace_id, size_t spans) {
    EXPECT_TRUE(Eventually([&] { return collector().OfTrace(trace_id).size() >= spans; }))
        << collector().OfTrace(trace_id).size() << " spans, wanted " << spans;
    return collector().OfTrace(trace_id);
  }

  // Gateway, router and expert below each other, with what each knows.
  static void CheckTrace(const std::vector<CollectedSpan>& spans, const std::string& decision) {
    const CollectedSpan* at_gateway = Find(spans, kGateway, Span::SPAN_KIND_SERVER);
    const CollectedSpan* to_router = Find(spans, kGateway, Span::SPAN_KIND_CLIENT);
    const CollectedSpan* at_router = Find(spans, kRouter, Span::SPAN_KIND_SERVER);
    const CollectedSpan* to_expert = Find(spans, kRouter, Span::SPAN_KIND_CLIENT);
    const CollectedSpan* at_expert = Find(spans, kExpert, Span::SPAN_KIND_SERVER);
    const CollectedSpan* in_expert = Find(spans, kExpert, Span::SPAN_KIND_INTERNAL);
    for (const auto* span : {at_gateway, to_router, at_router, to_expert, at_expert, in_expert}) {
      ASSERT_NE(span, nullptr);
      EXPECT_EQ(span->span.trace_id(), at_gateway->span.trace_id());
      EXPECT_FALSE(span->failed());
      EXPECT_LE(span->span.start_time_unix_nano(), span->span.end_time_unix_nano());
    }
    EXPECT_EQ(to_router->span.parent_span_id(), at_gateway->span.span_id());
    EXPECT_EQ(at_router->span.parent_span_id(), to_router->span.span_id());
    EXPECT_EQ(to_expert->span.parent_span_id(), at_router->span.span_id());
    EXPECT_EQ(at_expert->span.parent_span_id(), to_expert->span.span_id());
    EXPECT_EQ(in_expert->span.parent_span_id(), at_expert->span.span_id());
    for (const auto* span : {at_gateway, to_router, at_router, to_expert, at_expert}) {
      EXPECT_EQ(span->span.name(), "inference.GRPCInferenceService/ModelInfer");
      EXPECT_EQ(span->Text("rpc.system"), "grpc");
      EXPECT_EQ(span->Count("rpc.grpc.status_code"), 0);
      EXPECT_EQ(span->Text("penstock.request_id"), at_gateway->Text("penstock.request_id"));
    }
    EXPECT_NE(at_gateway->Text("penstock.request_id"), "");
    for (const auto* span : {at_gateway, to_router, at_router, to_expert, at_expert}) {
      EXPECT_EQ(span->Text("penstock.pool"), "real");
    }
    for (const auto* span : {at_gateway, to_router, at_router, to_expert}) {
      EXPECT_EQ(span->Text("penstock.tenant"), "anonymous");
    }
    EXPECT_EQ(at_expert->Text("penstock.decision_id"), decision);
    for (const auto* span : {at_gateway, at_router, to_expert}) {
      EXPECT_EQ(span->Text("penstock.decision_id"), decision);
      EXPECT_GT(span->Number("penstock.joules"), 0);
      EXPECT_NE(span->Text("penstock.energy_method"), "");
    }
    EXPECT_EQ(to_expert->Text("penstock.expert"), "tiny");
    EXPECT_EQ(to_expert->Text("penstock.attempt.reason"), "chosen");
    EXPECT_EQ(at_expert->Text("penstock.expert"), "tiny");
  }

  static inline std::unique_ptr<Parts> parts_;
};

// Gateway and router have two spans each, the expert its own and at least its run.
constexpr size_t kSpansOfAll = 6;

TEST_F(TracingTest, AllThreeAreTheCallersTrace) {
  const std::string traceparent = Traceparent(1, "01");
  const auto answer = cli::DecodeAnswer(platform().Ask("real", traceparent));
  ASSERT_TRUE(answer.ok()) << answer.status();
  const std::string trace_id = TraceContext::Parse(traceparent)->trace.ToBytes();
  const auto spans = WaitFor(trace_id, kSpansOfAll);
  ASSERT_NE(answer->Text("penstock_decision_id"), "");
  CheckTrace(spans, answer->Text("penstock_decision_id"));
  const CollectedSpan* root = Find(spans, kGateway, Span::SPAN_KIND_SERVER);
  ASSERT_NE(root, nullptr);
  EXPECT_EQ(root->span.parent_span_id(), std::string("\x00\xf0\x67\xaa\x0b\xa9\x02\xb7", 8));
}

TEST_F(TracingTest, WithoutATraceparentTheGatewayBeginsOne) {
  for (const char* traceparent : {"", "00-1-2-01"}) {
    const auto answer = cli::DecodeAnswer(platform().Ask("real", traceparent));
    ASSERT_TRUE(answer.ok()) << answer.status();
    const std::string decision = answer->Text("penstock_decision_id");
    const auto of_decision = [&] { return collector().With("penstock.decision_id", decision); };
    ASSERT_TRUE(Eventually([&] { return !of_decision().empty(); }));
    const std::string trace_id = of_decision()[0].span.trace_id();
    const auto spans = WaitFor(trace_id, kSpansOfAll);
    CheckTrace(spans, decision);
    EXPECT_EQ(Find(spans, kGateway, Span::SPAN_KIND_SERVER)->span.parent_span_id(), "");
  }
}

TEST_F(TracingTest, NothingOfACallerThatIsNotSampledIsSent) {
  const std::string quiet = Traceparent(2, "00");
  std::string heard;
  const auto listen = [&](const std::shared_ptr<IncomingCall>& call) {
    heard = std::string(FindMetadata(call->metadata(), kTraceparentMetadata));
    FakeExpert::AnswerWell(call);
  };
  platform().one().Do(listen);
  platform().other().Do(listen);
  for (const char* pool : {"real", "fakes"}) {
    EXPECT_TRUE(platform().Ask(pool, quiet).status.ok());
  }
  platform().one().Do(&FakeExpert::AnswerWell);
  platform().other().Do(&FakeExpert::AnswerWell);
  // It goes on as it came.
  EXPECT_EQ(heard, quiet);
  const std::string loud = Traceparent(3, "01");
  EXPECT_TRUE(platform().Ask("real", loud).status.ok());
  WaitFor(TraceContext::Parse(loud)->trace.ToBytes(), kSpansOfAll);
  EXPECT_TRUE(collector().OfTrace(TraceContext::Parse(quiet)->trace.ToBytes()).empty());
}

// Experts of somebody else's make have the span of the attempt that asks them.
TEST_F(TracingTest, EachAttemptIsASpanWithItsReason) {
  const std::string traceparent = Traceparent(4, "01");
  Mutex mutex;
  std::vector<std::string> heard;
  const auto behave = [&](const std::shared_ptr<IncomingCall>& call) {
    bool first = false;
    {
      MutexLock lock(mutex);
      first = heard.empty();
      heard.emplace_back(FindMetadata(call->metadata(), kTraceparentMetadata));
    }
    if (!first) return FakeExpert::AnswerWell(call);
    call->Finish({.status = absl::UnavailableError("away"), .body = {}, .trailers = {}});
  };
  platform().one().Do(behave);
  platform().other().Do(behave);
  EXPECT_TRUE(platform().Ask("fakes", traceparent).status.ok());
  platform().one().Do(&FakeExpert::AnswerWell);
  platform().other().Do(&FakeExpert::AnswerWell);
  const auto spans = WaitFor(TraceContext::Parse(traceparent)->trace.ToBytes(), 5);
  std::vector<CollectedSpan> attempts;
  for (const CollectedSpan& span : spans) {
    if (span.service == kRouter && span.span.kind() == Span::SPAN_KIND_CLIENT) {
      attempts.push_back(span);
    }
  }
  ASSERT_EQ(attempts.size(), 2u);
  std::sort(attempts.begin(), attempts.end(), [](const auto& a, const auto& b) {
    return a.Count("penstock.attempt.number") < b.Count("penstock.attempt.number");
  });
  EXPECT_EQ(attempts[0].Text("penstock.attempt.reason"), "chosen");
  EXPECT_EQ(attempts[0].Count("rpc.grpc.status_code"), 14);
  EXPECT_TRUE(attempts[0].failed());
  EXPECT_EQ(attempts[1].Text("penstock.attempt.reason"), "retry");
  EXPECT_EQ(attempts[1].Count("rpc.grpc.status_code"), 0);
  EXPECT_FALSE(attempts[1].failed());
  EXPECT_NE(attempts[0].Count("server.port"), attempts[1].Count("server.port"));
  ASSERT_EQ(heard.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    const auto context = TraceContext::Parse(heard[i]);
    ASSERT_TRUE(context.has_value()) << heard[i];
    EXPECT_EQ(SpanIdBytes(context->span), attempts[i].span.span_id());
    EXPECT_TRUE(context->sampled());
  }
}

TEST_F(TracingTest, RefusalsAreErrors) {
  const std::string traceparent = Traceparent(5, "01");
  EXPECT_TRUE(absl::IsNotFound(platform().Ask("nowhere", traceparent).status));
  const auto spans = WaitFor(TraceContext::Parse(traceparent)->trace.ToBytes(), 3);
  ASSERT_EQ(spans.size(), 3u);  // nobody asked an expert
  for (const CollectedSpan& span : spans) {
    EXPECT_TRUE(span.failed()) << span.service;
    EXPECT_EQ(span.Count("rpc.grpc.status_code"), 5) << span.service;
  }
}

TEST_F(TracingTest, HostileTraceparentsAreHarmless) {
  CounterRandom random(/*seed=*/7, /*sequence=*/0);
  std::vector<std::string> hostile = {std::string(8000, 'a'), std::string(55, '-'),
                                      "ff-" + Traceparent(6, "01").substr(3),
                                      Traceparent(6, "01") + std::string(4000, '-')};
  while (hostile.size() < 400) {
    std::string text = Traceparent(random.Bits(), "01");
    const uint64_t changes = random.Below(8);
    for (uint64_t n = 0; n < changes; ++n) {
      text[random.Below(text.size())] = static_cast<char>(' ' + random.Below(95));
    }
    if (random.Below(4) == 0) text.append(random.Below(200), '-');
    hostile.push_back(std::move(text));
  }
  for (const std::string& text : hostile) {
    const InferReply reply = platform().Ask("real", text);
    ASSERT_TRUE(reply.status.ok()) << text << ": " << reply.status;
  }
}

// All of `penstock serve` is one process, but three services.
TEST(TracingServeTest, OneProcessIsThreeServices) {
  FakeCollector collector;
  TempDir models;
  WriteTinyModel(models, "tiny");
  const auto server = [&](const char* grpc) {
    return absl::Substitute(
        R"({$0 metrics: "127.0.0.1:0", drain: {grace: 0s, timeout: 20s},
            tracing: {collector: {address: "$1"}, sample_share: 1, max_delay: 0.01s}})",
        grpc, collector.address());
  };
  const auto serve = Process::Start(
      kPlatform,
      absl::Substitute("gateway: {server: $0, identity: {anonymous_admin: true}}\n"
                       "router: {server: $1, pools: [{name: real, experts: [{name: tiny}]}]}\n"
                       "expert: {server: $1, model_repository: $2}\n",
                       server("grpc: \"127.0.0.1:0\","), server(""), models.path()),
      {"serve"});
  ASSERT_NE(serve, nullptr);
  TestClient client(serve->grpc());
  ASSERT_TRUE(client.WaitForExperts());
  const cli::Answer answer = client.Answered(TinyRequest("real"));
  const auto found = [&] {
    return collector.With("penstock.decision_id", answer.Text("penstock_decision_id"));
  };
  ASSERT_TRUE(Eventually([&] { return !found().empty(); }));
  const std::string trace = found()[0].span.trace_id();
  ASSERT_TRUE(Eventually([&] { return collector.OfTrace(trace).size() >= kSpansOfAll; }));
  const auto spans = collector.OfTrace(trace);
  for (const char* service : {kGateway, kRouter, kExpert}) {
    EXPECT_NE(Find(spans, service, Span::SPAN_KIND_SERVER), nullptr) << service;
  }
}

TEST(TracingAwayTest, RequestsAreAnsweredWhileTheCollectorIsAway) {
  std::string nobody;
  {
    const FakeCollector gone;
    nobody = gone.address();
  }
  Platform platform(nobody, "sample_share: 1");
  ASSERT_TRUE(platform.ok());
  for (int i = 0; i < 50; ++i) {
    const InferReply reply = platform.Ask("real", "");
    ASSERT_TRUE(reply.status.ok()) << reply.status;
  }
  // Two spans of each request, but of the last ones perhaps.
  EXPECT_TRUE(Eventually([&] { return platform.SpansAtGateway("failed") >= 100; }));
  EXPECT_EQ(platform.Spans("exported"), 0);
}

TEST(TracingAwayTest, RequestsAreAnsweredWhileTheCollectorIsSilent) {
  FakeCollector collector;
  collector.Hold();
  Platform platform(collector.address(),
                    "sample_share: 1, max_queue: 10, max_batch: 5, timeout: 60s");
  ASSERT_TRUE(platform.ok());
  for (int i = 0; i < 50; ++i) {
    const InferReply reply = platform.Ask("real", "");
    ASSERT_TRUE(reply.status.ok()) << reply.status;
  }
  // Of 100 spans ten wait, and five are on their way.
  EXPECT_TRUE(Eventually([&] { return platform.SpansAtGateway("dropped") >= 85; }));
  EXPECT_EQ(platform.Spans("exported"), 0);
}

}  // namespace
}  // namespace penstock
