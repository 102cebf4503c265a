// The learning loop over sockets: what routers log of their decisions and reports trains a file
// that is tried beside the live one, and made live while requests are running.

#include <grpcpp/grpcpp.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "cli/client/metrics_scrape.h"
#include "common/random.h"
#include "common/tensors/safetensors.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/integration/client.h"
#include "tests/integration/process.h"
#include "tests/integration/test_models.h"
#include "tests/support/temp_dir.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

constexpr char kServer[] =
    R"({grpc: "127.0.0.1:0", metrics: "127.0.0.1:0", threads: 1, drain: {grace: 0s}})";

// x whose first value decides who is right about it: `small` below 0, `big` from 0 on.
InferRequest Request(uint64_t number) {
  InferRequest request;
  request.model_name = "tiny";
  request.inputs.push_back(FloatTensor("x", {1, 4}, TestFloats(number, 4, 1)));
  return request;
}
std::string Right(uint64_t number) { return TestFloats(number, 4, 1)[0] < 0 ? "small" : "big"; }

int Penstock(std::vector<std::string> arguments, std::string& output) {
  arguments.insert(arguments.begin(), std::string(PENSTOCK_BIN_DIR) + "/penstock");
  return RunCommand(arguments, output);
}

class LearningTest : public testing::Test {
 protected:
  void SetUp() override {
    WriteTinyModel(models_, "small");
    WriteTinyModel(models_, "big");
    // It believes in `small`, whatever the request.
    const absl::Status written = WriteSafetensors(folder_.File("live.safetensors"),
                                                  {{"weight", {2, 4}, std::vector<float>(8, 0.0f)},
                                                   {"bias", {2}, {2, -2}},
                                                   {"mean", {2}, {0.88f, 0.12f}}},
                                                  {{"experts", R"(["small","big"])"}});
    ASSERT_TRUE(written.ok()) << written;
    experts_ =
        Process::Start("penstock-expert",
                       absl::Substitute("server: $0\nmodel_repository: $1\nmodels: [small, big]\n"
                                        "metering: {source: MODELLED}\ntrust_plaintext: true\n"
                                        "execution: {threads: 1, warm_up_runs: 1}\n",
                                        kServer, models_.path()));
    ASSERT_NE(experts_, nullptr);
  }

  // Two routers behind a gateway, each with a log of its own.
  void Start(const std::string& shadow) {
    std::string addresses;
    for (int i = 0; i < 2; ++i) {
      routers_.push_back(Process::Start(
          "penstock-router", absl::Substitute(R"(
server: $0
seed: 1
trust_plaintext: true
decision_log: {directory: "$1", features: true}
pools:
  - name: tiny
    experts:
      - {name: small, replicas: [{address: "$2"}]}
      - {name: big, replicas: [{address: "$2"}]}
    features: {tensor_pooling: {input: x}}
    quality_file: "$3"
    $4
)",
                                              kServer, LogFile(i), experts_->grpc(),
                                              folder_.File("live.safetensors"), shadow)));
      ASSERT_NE(routers_.back(), nullptr);
      absl::StrAppend(&addresses, i == 0 ? "" : ", ", "{address: \"", routers_.back()->grpc(),
                      "\"}");
    }
    gateway_ = Process::Start("penstock-gateway",
                              absl::Substitute("server: $0\nidentity: {anonymous_admin: true}\n"
                                               "routers: [$1]\npage: {http: \"off\"}\n",
                                               kServer, addresses));
    ASSERT_NE(gateway_, nullptr);
    client_ = std::make_unique<TestClient>(gateway_->grpc());
    ASSERT_TRUE(client_->WaitForExperts());
    for (const auto& router : routers_) {
      TestClient direct(router->grpc());
      ASSERT_TRUE(direct.WaitForExperts());
    }
  }
  void Stop() {
    client_ = nullptr;
    EXPECT_EQ(gateway_->Stop(), 0);
    for (const auto& router : routers_) EXPECT_EQ(router->Stop(), 0);
    routers_.clear();
  }
  std::string LogFile(int router) const {
    return folder_.File(absl::StrCat("log", router));
  }

  // How good the answer was, by way of the gateway.
  void Report(const cli::Answer& answer, double quality) {
    v1::ReportRequest request;
    request.set_decision_id(answer.Text("penstock_decision_id"));
    request.set_quality(quality);
    grpc::ClientContext context;
    client_->pool_client().Prepare(context, absl::Seconds(20));
    v1::ReportResponse response;
    const grpc::Status status =
        client_->pool_client().routing().Report(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
  }
  // Asks, and reports by who is right; `expert`: forced. Who answered.
  std::string AskAndReport(uint64_t number, const std::string& expert = "") {
    InferRequest request = Request(number);
    if (!expert.empty()) request.parameters.push_back({"penstock_experts", expert});
    const cli::Answer answer = client_->Answered(request);
    const std::string answered = answer.Text("penstock_experts");
    Report(answer, answered == Right(number) ? 1 : 0);
    return answered;
  }
  v1::ShadowStatus Shadow() {
    v1::GetShadowRequest request;
    request.set_pool("tiny");
    grpc::ClientContext context;
    client_->pool_client().Prepare(context, absl::Seconds(20));
    v1::GetShadowResponse response;
    const grpc::Status status =
        client_->pool_client().routing().GetShadow(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.shadow();
  }
  // What would decide request `number` now.
  v1::Decision Explain(uint64_t number) {
    v1::ExplainRequest request;
    EXPECT_TRUE(
        request.mutable_request()->ParseFromString(EncodeInferRequest(Request(number)).ToString()));
    grpc::ClientContext context;
    client_->pool_client().Prepare(context, absl::Seconds(20));
    v1::ExplainResponse response;
    const grpc::Status status =
        client_->pool_client().routing().Explain(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.decision();
  }

  TempDir models_, folder_;
  std::unique_ptr<Process> experts_, gateway_;
  std::vector<std::unique_ptr<Process>> routers_;
  std::unique_ptr<TestClient> client_;
};

TEST_F(LearningTest, LogsTrainAFileThatIsTriedAndMadeLiveWhileRequestsRun) {
  constexpr uint64_t kLogged = 300;
  ASSERT_NO_FATAL_FAILURE(Start(""));
  // The live file never asks `big`: callers do.
  for (uint64_t i = 0; i < kLogged; ++i) AskAndReport(i, i % 2 == 0 ? "" : "big");
  ASSERT_NO_FATAL_FAILURE(Stop());

  std::string output;
  ASSERT_EQ(Penstock({"train", "--decisions", absl::StrCat(LogFile(0), ",", LogFile(1)), "--output",
                      folder_.File("trained")},
                     output),
            0)
      << output;
  EXPECT_THAT(output, HasSubstr(absl::StrCat(kLogged, " reported decisions of pool tiny")));
  const std::string trained = folder_.File("trained/quality.safetensors");

  // The router refuses a file that does not fit its pool.
  ASSERT_NO_FATAL_FAILURE(Start(absl::StrCat("shadow: {quality_file: \"", trained, "\"}")));
  const v1::ShadowStatus before = Shadow();
  EXPECT_EQ(before.decisions(), 0u);
  ASSERT_NE(before.shadow_version(), "");
  EXPECT_NE(before.shadow_version(), before.live_version());
  EXPECT_EQ(Explain(0).quality_version(), before.live_version());
  for (uint64_t i = 0; i < 200; ++i) EXPECT_EQ(AskAndReport(1000 + i), "small");

  // Of the router that the gateway asks.
  const v1::ShadowStatus tried = Shadow();
  EXPECT_GT(tried.decisions(), 20u);
  EXPECT_GT(tried.reports(), 20u);
  EXPECT_LT(tried.agreed(), tried.decisions());
  EXPECT_GT(tried.brier_gain(), 3 * tried.brier_gain_standard_error());
  EXPECT_EQ(tried.promoted_version(), "");
  ASSERT_EQ(Penstock({"shadow", "--target", gateway_->grpc(), "--pool", "tiny", "--json"}, output),
            0)
      << output;
  const auto shown = nlohmann::json::parse(output, nullptr, false);
  ASSERT_FALSE(shown.is_discarded()) << output;
  EXPECT_EQ(shown["shadow_version"], tried.shadow_version());
  EXPECT_NE(
      Penstock({"promote", "--target", gateway_->grpc(), "--pool", "tiny", "--version", "0123"},
               output),
      0);
  EXPECT_THAT(output, HasSubstr("FAILED_PRECONDITION"));

  // Requests before, during and after the promotion.
  std::vector<std::shared_ptr<Pending>> pending;
  for (uint64_t i = 0; i < 100; ++i) pending.push_back(client_->Send(Request(2000 + i)));
  ASSERT_EQ(Penstock({"promote", "--target", gateway_->grpc(), "--pool", "tiny"}, output), 0)
      << output;
  EXPECT_THAT(output, HasSubstr(tried.shadow_version()));
  for (uint64_t i = 0; i < 100; ++i) pending.push_back(client_->Send(Request(2100 + i)));
  for (const auto& call : pending) EXPECT_TRUE(call->Wait().status.ok()) << call->Wait().status;

  EXPECT_EQ(Explain(0).quality_version(), tried.shadow_version());
  int right = 0, big = 0;
  for (uint64_t i = 0; i < 200; ++i) {
    const std::string answered = AskAndReport(3000 + i);
    right += answered == Right(3000 + i);
    big += answered == "big";
  }
  // The boundary lies where some 240 rows put it; the live file is right about half of the time.
  EXPECT_GT(right, 170);
  EXPECT_GT(big, 50);
  const v1::ShadowStatus after = Shadow();
  EXPECT_EQ(after.live_version(), tried.shadow_version());
  EXPECT_EQ(after.shadow_version(), "");
  EXPECT_EQ(after.promoted_version(), tried.shadow_version());
  double decisions = 0, reports = 0;
  for (const auto& router : routers_) {
    EXPECT_THAT(router->Log(), HasSubstr(absl::StrCat("promoted=", tried.shadow_version())));
    const auto metrics = cli::ScrapeMetrics(router->metrics());
    ASSERT_TRUE(metrics.ok()) << metrics.status();
    EXPECT_EQ(cli::SumOfMetric(*metrics, "penstock_router_promotions_total"), 1);
    decisions += cli::SumOfMetric(*metrics, "penstock_router_shadow_decisions_total");
    reports += cli::SumOfMetric(*metrics, "penstock_router_shadow_reports_total");
    ASSERT_EQ(Penstock({"shadow", "--router", router->grpc(), "--pool", "tiny"}, output), 0)
        << output;
    EXPECT_THAT(output, HasSubstr(absl::StrCat("promoted  ", tried.shadow_version())));
  }
  EXPECT_EQ(reports, 200);
  // Some of those that ran beside the promotion came before it.
  EXPECT_GE(decisions, 200);
}

TEST_F(LearningTest, OnlyAdministratorsSeeAndPromoteShadows) {
  ASSERT_NO_FATAL_FAILURE(
      Start(absl::StrCat("shadow: {quality_file: \"", folder_.File("live.safetensors"), "\"}")));
  const auto gateway = Process::Start(
      "penstock-gateway",
      absl::Substitute("server: $0\nrouters: [{address: \"$1\"}]\npage: {http: \"off\"}\n", kServer, routers_[0]->grpc()));
  ASSERT_NE(gateway, nullptr);
  TestClient client(gateway->grpc());
  std::string output;
  for (const char* command : {"shadow", "promote"}) {
    EXPECT_NE(Penstock({command, "--target", gateway->grpc(), "--pool", "tiny"}, output), 0);
    EXPECT_THAT(output, HasSubstr("PERMISSION_DENIED")) << command;
  }
}

}  // namespace
}  // namespace penstock
