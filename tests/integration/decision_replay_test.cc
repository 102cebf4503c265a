// A router process under concurrent clients, over sockets: what its decision log holds suffices to
// make all of its decisions again.

#include "router_service/simulation/decisions/decision_replay.h"

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <fstream>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "common/net/caller_rights.h"
#include "common/net/grpc_status.h"
#include "common/net/orca.h"
#include "common/notification.h"
#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/client.h"
#include "tests/integration/fake_expert.h"
#include "tests/integration/process.h"
#include "tests/integration/test_models.h"
#include "tests/router_service/recording/logged_lines.h"
#include "tests/support/temp_dir.h"

namespace penstock {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

// $0 server, $1 expert service, $2 and $3 experts of the test's own, $4 the decision log.
constexpr char kRouter[] = R"(
server: $0
trust_plaintext: true
learning: ON
decision_log: {directory: "$4"}
budgets: [{resource: JOULES, amount: 900, per: SECOND}]
pools:
  - name: priced
    budgets:
      - {resource: JOULES, amount: 2.5, per: REQUEST, bound_tenants: true}
      - {resource: JOULES, amount: 100000, per: HOUR, hard: true, tenant: zeta}
      - {resource: REQUESTS, amount: 100000, per: HOUR}
    experts:
      - {name: cheap, replicas: [{address: "$2"}], quality: 0.7, joules_per_row: 1, latency_ms: 2}
      - {name: dear, replicas: [{address: "$3"}], quality: 0.9, joules_per_row: 5, latency_ms: 4}
      - {name: tiny, replicas: [{address: "$1"}], quality: 0.6, joules_per_row: 0.5, latency_ms: 2}
  - name: several
    selection: {max_experts: 2}
    on_infeasible: DEGRADE
    combiner: WEIGHTED_SUM
    experts:
      - {name: cheap, replicas: [{address: "$2"}], quality: 0.7, joules_per_row: 1, latency_ms: 2}
      - {name: dear, replicas: [{address: "$3"}], quality: 0.9, joules_per_row: 5, latency_ms: 4}
)";

constexpr char kServer[] =
    R"({grpc: "127.0.0.1:0", metrics: "127.0.0.1:0", drain: {grace: 0.2s, timeout: 20s}})";

// Answers with `joules` a request times 0.7 to 1.5, by turns; one in 23 fails.
FakeExpert::Behaviour Metered(double joules) {
  auto calls = std::make_shared<std::atomic<uint64_t>>(0);
  return [joules, calls](const std::shared_ptr<IncomingCall>& call) {
    const uint64_t number = ++*calls;
    InferReply reply;
    if (number % 23 == 0) {
      reply.status = absl::InternalError("one in 23");
    } else {
      const auto header = ScanInferRequest(call->request());
      const int64_t rows = header.ok() ? header->inputs[0].shape[0] : 1;
      InferResponse response;
      response.outputs.push_back(
          FloatTensor("y", {rows, 2}, std::vector<float>(static_cast<size_t>(rows * 2))));
      reply.body = EncodeInferResponse(response);
      xds::data::orca::v3::OrcaLoadReport report;
      (*report.mutable_request_cost())["joules"] =
          joules * (0.7 + 0.1 * static_cast<double>(number % 9));
      (*report.mutable_named_metrics())["energy_method"] = 1;
      SetOrcaReport(report, reply.trailers);
    }
    call->Finish(std::move(reply));
  };
}

class DecisionReplayTest : public testing::Test {
 protected:
  void SetUp() override {
    cheap_.Do(Metered(1));
    dear_.Do(Metered(5));
    WriteTinyModel(folder_, "tiny");
    expert_ = Process::Start("penstock-expert",
                             absl::Substitute("server: $0\nmodel_repository: $1\n"
                                              "trust_plaintext: true\n"
                                              "execution: {threads: 1, warm_up_runs: 1}\n",
                                              kServer, folder_.path()));
    ASSERT_NE(expert_, nullptr);
    router_ = Process::Start("penstock-router",
                             absl::Substitute(kRouter, kServer, expert_->grpc(), cheap_.address(),
                                              dear_.address(), Log()));
    ASSERT_NE(router_, nullptr);
  }

  std::string Log() const { return log_folder_.File("decisions"); }

  static InferReply Ask(TestClient& client, const InferRequest& request, const Metadata& metadata) {
    InferReply reply;
    Notification done;
    CallOptions options;
    options.metadata = metadata;
    const auto call = client.target().ModelInfer(EncodeInferRequest(request), std::move(options),
                                                 [&](InferReply answer) {
                                                   reply = std::move(answer);
                                                   done.Notify();
                                                 });
    done.Wait();
    return reply;
  }

  // One client's requests: limits of many kinds, and a report now and then.
  void Drive(uint64_t number, int requests) {
    TestClient client(router_->grpc());
    CounterRandom random(11, number);
    const Metadata metadata = {{kTenantMetadata, number % 2 == 0 ? "acme" : "zeta"}};
    for (int i = 0; i < requests; ++i) {
      const int64_t rows = 1 + static_cast<int64_t>(random.Below(2));
      InferRequest request = TinyRequest(random.Below(3) == 0 ? "several" : "priced", rows);
      if (random.Below(4) == 0) {
        request.parameters.push_back({"penstock_energy_budget_j", 0.5 + 11 * random.Uniform()});
      }
      if (random.Below(5) == 0) request.parameters.push_back({"penstock_min_quality", 0.65});
      if (random.Below(8) == 0) {
        request.parameters.push_back({"penstock_objective", std::string("energy")});
      }
      const InferReply reply = Ask(client, request, metadata);
      const auto answer = cli::DecodeAnswer(reply);
      if (!answer.ok()) continue;
      ++answered_;
      if (i % 5 == 0) Report(client, metadata, answer->Text("penstock_decision_id"));
    }
  }

  // What is made again is more than one choice at one price.
  void ExpectThatPricesMoved() const {
    std::set<std::string> prices, experts;
    for (const std::string& line : router::LinesIn(Log())) {
      const auto value = [&line](size_t from, const std::string& name) {
        const size_t at = line.find("\"" + name + "\":", from);
        return at == std::string::npos ? "" : line.substr(at, line.find_first_of(",}", at) - at);
      };
      const size_t view = line.find("\"view\":{");
      if (view != std::string::npos) prices.insert(value(view, "price_per_joule"));
      const size_t runs = line.find("\"runs\":[");
      if (runs != std::string::npos) experts.insert(value(runs, "expert"));
    }
    EXPECT_GT(prices.size(), 50u);
    EXPECT_GT(experts.size(), 1u);
  }

  static void Report(TestClient& client, const Metadata& metadata, const std::string& id) {
    grpc::ClientContext context;
    client.pool_client().Prepare(context, absl::Seconds(20));
    for (const auto& [key, value] : metadata) context.AddMetadata(key, value);
    v1::ReportRequest request;
    request.set_decision_id(id);
    request.set_quality(0.5);
    v1::ReportResponse response;
    const grpc::Status status = client.pool_client().routing().Report(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
  }

  static void SetBudget(TestClient& client, double amount) {
    grpc::ClientContext context;
    client.pool_client().Prepare(context, absl::Seconds(20));
    context.AddMetadata(kRightsMetadata, CallerRights{.admin = true}.ToMetadata());
    v1::SetBudgetRequest request;
    request.set_pool("priced");
    request.mutable_budget()->set_resource(config::v1::Budget::JOULES);
    request.mutable_budget()->set_per(config::v1::Budget::REQUEST);
    request.mutable_budget()->set_amount(amount);
    v1::SetBudgetResponse response;
    const grpc::Status status =
        client.pool_client().routing().SetBudget(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
  }

  TempDir folder_;
  TempDir log_folder_;
  FakeExpert cheap_;
  FakeExpert dear_;
  std::unique_ptr<Process> expert_;
  std::unique_ptr<Process> router_;
  std::atomic<int> answered_ = 0;
};

TEST_F(DecisionReplayTest, EveryDecisionOfALiveRouterIsMadeAgain) {
  constexpr int kClients = 4;
  constexpr int kEach = 100;
  {
    TestClient admin(router_->grpc());
    ASSERT_TRUE(admin.WaitForExperts());
    std::vector<std::thread> clients;
    for (uint64_t c = 0; c < kClients; ++c) {
      clients.emplace_back([this, c] { Drive(c, kEach); });
    }
    ASSERT_TRUE(Eventually([&] { return answered_ > 150; }, absl::Seconds(120)));
    SetBudget(admin, 2);
    for (std::thread& client : clients) client.join();
  }
  EXPECT_GT(answered_, kClients * kEach / 2);
  ASSERT_EQ(router_->Stop(), 0);

  ExpectThatPricesMoved();
  const auto report = router::ReplayDecisions(Log());
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->decisions, uint64_t{kClients * kEach});
  EXPECT_EQ(report->reproduced, report->decisions);
  EXPECT_THAT(report->not_replayed, IsEmpty());
  EXPECT_THAT(report->incomplete, IsEmpty());
  EXPECT_GT(report->reports, 40u);
  for (const router::Mismatch& mismatch : report->mismatches.first()) {
    ADD_FAILURE() << mismatch.where << " " << mismatch.what << ": " << mismatch.logged << " / "
                  << mismatch.replayed;
  }

  // As the command line says it.
  const std::string penstock = PENSTOCK_BIN_DIR "/penstock";
  std::string output;
  EXPECT_EQ(RunCommand({penstock, "replay", "--decisions", Log(), "--json"}, output), 0) << output;
  EXPECT_THAT(output, HasSubstr("\"share\": 1.0"));

  std::string verified;
  EXPECT_EQ(RunCommand({penstock, "log", "verify", Log()}, verified), 0) << verified;

  // And of an export in which one number is another.
  ASSERT_EQ(RunCommand({penstock, "log", "export", Log(), "--output",
                        log_folder_.File("exported.jsonl")},
                       output),
            0)
      << output;
  std::ifstream file(log_folder_.File("exported.jsonl"));
  const std::string changed = log_folder_.File("changed.jsonl");
  std::ofstream out(changed);
  bool done = false;
  for (std::string line; std::getline(file, line);) {
    const std::string joules = "\"energy_j\":";
    const size_t settle = line.find("\"settle\":{");
    const size_t at = settle == std::string::npos ? settle : line.find(joules, settle);
    if (!done && at != std::string::npos) {
      const size_t number = at + joules.size();
      out << line.substr(0, number) << 1 << line.substr(number) << '\n';
      done = true;
      continue;
    }
    out << line << '\n';
  }
  out.close();
  ASSERT_TRUE(done);
  EXPECT_EQ(RunCommand({penstock, "replay", "--decisions", changed}, output), 1);
  EXPECT_THAT(output, HasSubstr("in the replay"));
}

}  // namespace
}  // namespace penstock
