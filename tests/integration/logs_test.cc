// What services write into their logs about requests: a line each where it went wrong, at the
// service that decided so, whatever callers call themselves and however many they are.

#include <map>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/substitute.h"
#include "absl/time/clock.h"
#include "cli/client/metrics_scrape.h"
#include "common/net/caller_rights.h"
#include "common/utf8.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/client.h"
#include "tests/integration/process.h"
#include "tests/integration/test_models.h"
#include "tests/support/temp_dir.h"

namespace penstock {
namespace {

using nlohmann::json;
using testing::IsEmpty;
using testing::Le;
using testing::SizeIs;

// $0 more of it
constexpr char kServer[] =
    R"({grpc: "127.0.0.1:0", metrics: "127.0.0.1:0", threads: 1, drain: {grace: 0s}, $0})";
// $0 server, $1 expert service
constexpr char kRouter[] = R"(
server: $0
trust_plaintext: true
learning: OFF
pools:
  - {name: plain, experts: [{name: tiny, replicas: [{address: "$1"}]}]}
  - name: spent
    budgets: [{resource: REQUESTS, amount: 1, per: DAY, hard: true}]
    experts: [{name: tiny, replicas: [{address: "$1"}]}]
)";

// Lines of a log, each of which must be one whole JSON object; of one event.
std::vector<json> Lines(const Process& process, const std::string& event) {
  std::vector<json> found;
  for (const absl::string_view line : absl::StrSplit(process.Log(), '\n', absl::SkipEmpty())) {
    if (absl::StartsWith(line, "ready grpc=")) continue;  // stdout
    EXPECT_TRUE(IsUtf8(line)) << line;
    EXPECT_THAT(line, SizeIs(Le(8192)));
    const json parsed = json::parse(line.begin(), line.end(), nullptr, /*allow_exceptions=*/false);
    EXPECT_TRUE(parsed.is_object()) << line;
    if (!parsed.is_object()) continue;
    for (const char* key : {"time", "level", "service", "event"}) {
      EXPECT_TRUE(parsed.contains(key)) << line;
    }
    if (parsed.value("event", "") == event) found.push_back(parsed);
  }
  return found;
}

class LogsTest : public testing::Test {
 protected:
  static std::string Server(const std::string& log) {
    return absl::Substitute(kServer, "log: {format: JSON, " + log + "}");
  }
  void Start(const std::string& log) {
    WriteTinyModel(folder_, "tiny");
    expert_ = Process::Start("penstock-expert",
                             absl::Substitute("server: $0\nmodel_repository: $1\n"
                                              "trust_plaintext: true\nexecution: {threads: 1}\n",
                                              Server(log), folder_.path()));
    ASSERT_NE(expert_, nullptr);
    router_ =
        Process::Start("penstock-router", absl::Substitute(kRouter, Server(log), expert_->grpc()));
    ASSERT_NE(router_, nullptr);
    gateway_ = Process::Start("penstock-gateway", Gateway(log));
    ASSERT_NE(gateway_, nullptr);
    client_ = std::make_unique<TestClient>(gateway_->grpc());
    ASSERT_TRUE(client_->WaitForExperts());
  }
  std::string Gateway(const std::string& log) const {
    return absl::Substitute("server: $0\nrouters: [{address: \"$1\"}]\npage: {http: \"off\"}\n",
                            Server(log), router_->grpc());
  }

  const TempDir folder_;
  std::unique_ptr<Process> expert_, router_, gateway_;
  std::unique_ptr<TestClient> client_;
};

TEST_F(LogsTest, AnAnsweredRequestIsForDebuggersAndHasOneIdAtEveryHop) {
  ASSERT_NO_FATAL_FAILURE(Start("level: debug"));
  ASSERT_TRUE(client_->Call(TinyRequest("plain")).status.ok());
  const auto answered = [](const Process& process) { return Lines(process, "request_answered"); };
  // The router logs when the answer has left.
  ASSERT_TRUE(Eventually([&] { return answered(*router_).size() == 1; }));
  ASSERT_THAT(answered(*gateway_), SizeIs(1));
  const json at_gateway = answered(*gateway_)[0], at_router = answered(*router_)[0];
  EXPECT_EQ(at_gateway.at("service"), "gateway");
  EXPECT_EQ(at_gateway.at("pool"), "plain");
  EXPECT_EQ(at_gateway.at("tenant"), "anonymous");
  EXPECT_EQ(at_gateway.at("code"), "OK");
  EXPECT_GT(at_gateway.at("latency_seconds").get<double>(), 0);
  EXPECT_EQ(at_router.at("request_id"), at_gateway.at("request_id"));
  bool at_expert = false;
  for (const json& line : answered(*expert_)) {
    at_expert = at_expert || line.value("request_id", "") == at_gateway.at("request_id");
  }
  EXPECT_TRUE(at_expert);
}

TEST_F(LogsTest, HostileNamesStayValuesOfOneLine) {
  ASSERT_NO_FATAL_FAILURE(Start("level: debug, max_lines_per_second: 1000"));
  const std::string hostile[] = {"\"}\n{\"level\":\"error\",\"event\":\"audit\"}", "a b=c\r\x1b[2J",
                                 std::string("\xff\xfe\0", 3), "\xE2\x80\xA8\xC2\x85",
                                 std::string(100'000, '"')};
  for (const std::string& name : hostile) {
    EXPECT_FALSE(client_->Call(TinyRequest(name)).status.ok());
    InferRequest request = TinyRequest("plain");
    request.inputs[0].name = name;
    EXPECT_FALSE(client_->Call(request).status.ok());
  }
  // A header holds no line's end, but the rest; routers believe who they trust.
  TestClient router(router_->grpc());
  CallOptions options;
  options.metadata = {{kTenantMetadata, "\"} {\"event\":\"audit\" tenant=x"},
                      {kRequestIdMetadata, std::string(3000, '\\')}};
  Notification done;
  router.target().ModelInfer(EncodeInferRequest(TinyRequest("plain")), options,
                             [&](const InferReply&) { done.Notify(); });
  done.Wait();
  ASSERT_TRUE(Eventually([&] { return Lines(*router_, "request_answered").size() >= 1; }));
  for (const auto& process : {router_.get(), gateway_.get(), expert_.get()}) {
    EXPECT_THAT(Lines(*process, "audit"), IsEmpty());
  }
  // A pool's name that is no UTF-8 comes no further than the gateway.
  EXPECT_THAT(Lines(*router_, "request_invalid"), SizeIs(9));
  EXPECT_THAT(Lines(*gateway_, "request_invalid"), SizeIs(1));
  EXPECT_EQ(Lines(*router_, "request_answered")[0].at("tenant"),
            "\"} {\"event\":\"audit\" tenant=x");
  std::vector<std::string> pools;
  for (const json& line : Lines(*gateway_, "request_answered")) pools.push_back(line.at("pool"));
  EXPECT_THAT(pools, testing::IsSupersetOf({hostile[0], hostile[1], hostile[3]}));
}

TEST_F(LogsTest, AFloodOfRefusalsIsAFewLinesThatSayHowManyThereWere) {
  ASSERT_NO_FATAL_FAILURE(Start("max_lines_per_second: 20"));
  ASSERT_TRUE(client_->Call(TinyRequest("spent")).status.ok());
  const absl::Time start = absl::Now();
  constexpr int kFlood = 10'000;
  std::vector<std::shared_ptr<Pending>> pending;
  for (int sent = 0; sent < kFlood;) {
    pending.clear();
    for (int i = 0; i < 100; ++i, ++sent) pending.push_back(client_->Send(TinyRequest("spent")));
    for (const auto& call : pending) {
      ASSERT_EQ(call->Wait().status.code(), absl::StatusCode::kResourceExhausted);
    }
  }
  // The bucket fills again, and the event's next line tells.
  int refused = kFlood;
  uint64_t suppressed = 0;
  const auto told = [&] {
    EXPECT_FALSE(client_->Call(TinyRequest("spent")).status.ok());
    ++refused;
    suppressed = 0;
    const std::vector<json> lines = Lines(*router_, "request_refused");
    for (const json& line : lines) suppressed += line.value("suppressed", uint64_t{0});
    return suppressed + lines.size() == static_cast<uint64_t>(refused);
  };
  EXPECT_TRUE(Eventually(told)) << suppressed;
  const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
  const std::vector<json> lines = Lines(*router_, "request_refused");
  EXPECT_THAT(lines.size(), Le(static_cast<size_t>(20 + 20 * seconds + 1)));
  EXPECT_GT(suppressed, 0u);
  EXPECT_EQ(lines[0].at("pool"), "spent");
  EXPECT_EQ(lines[0].at("code"), "RESOURCE_EXHAUSTED");
  EXPECT_EQ(lines[0].at("level"), "info");
  const auto metrics = cli::ScrapeMetrics(router_->metrics());
  ASSERT_TRUE(metrics.ok()) << metrics.status();
  EXPECT_EQ(cli::SumOfMetric(*metrics, "penstock_log_suppressed_lines_total"),
            static_cast<double>(suppressed));
  // It was the router's word, which the gateway passed on.
  EXPECT_THAT(Lines(*gateway_, "request_refused"), IsEmpty());
}

TEST_F(LogsTest, WhatTheGatewayRefusesItLogs) {
  ASSERT_NO_FATAL_FAILURE(Start("level: info"));
  router_->Kill();
  ASSERT_FALSE(client_->Call(TinyRequest("plain")).status.ok());
  const std::vector<json> lines = Lines(*gateway_, "request_refused");
  ASSERT_THAT(lines, SizeIs(1));
  EXPECT_EQ(lines[0].at("code"), "UNAVAILABLE");
  EXPECT_EQ(lines[0].at("pool"), "plain");
  EXPECT_FALSE(lines[0].at("request_id").get<std::string>().empty());
}

TEST_F(LogsTest, TheLevelChangesWithTheConfiguration) {
  ASSERT_NO_FATAL_FAILURE(Start("level: info"));
  gateway_->Reconfigure(Gateway("level: debug"));
  ASSERT_TRUE(Eventually([&] { return !Lines(*gateway_, "config_reload").empty(); }));
  const json reload = Lines(*gateway_, "config_reload")[0];
  EXPECT_EQ(reload.at("reload"), "applied") << reload;
  EXPECT_EQ(reload.at("changed"), "server.log.level");
  ASSERT_TRUE(client_->Call(TinyRequest("plain")).status.ok());
  EXPECT_THAT(Lines(*gateway_, "request_answered"), SizeIs(1));
}

}  // namespace
}  // namespace penstock
