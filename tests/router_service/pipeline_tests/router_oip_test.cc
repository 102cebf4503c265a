#include <grpcpp/grpcpp.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "common/config/yaml_config.h"
#include "common/net/caller_rights.h"
#include "common/net/oip/oip_server.h"
#include "common/net/orca.h"
#include "common/tensors/infer_message.h"
#include "common/time/clock.h"
#include "inference/grpc_service.grpc.pb.h"
#include "penstock/v1/routing.grpc.pb.h"
#include "router_service/router_service.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace penstock::router {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;

// An expert service of one model: p = (x0, 1 - x0).
class OneModel final : public InferHandler, public OipControl {
 public:
  void ModelInfer(std::shared_ptr<IncomingCall> call) override {
    InferReply reply;
    const auto header = ScanInferRequest(call->request());
    const auto inputs = DecodeInputs(call->request(), *header);
    const std::vector<float> x = *ToFloats((*inputs)[0]);
    InferResponse response;
    response.model_name = header->model_name;
    response.id = header->id;
    response.outputs.push_back(FloatTensor("p", {1, 2}, {x[0], 1 - x[0]}));
    reply.body = EncodeInferResponse(response);
    xds::data::orca::v3::OrcaLoadReport report;
    (*report.mutable_request_cost())["joules"] = 0.5;
    (*report.mutable_named_metrics())["energy_method"] = 1;
    SetOrcaReport(report, reply.trailers);
    call->Finish(std::move(reply));
  }
  void ServerReady(const ControlContext&, const inference::ServerReadyRequest&,
                   inference::ServerReadyResponse& response, ControlDone done) override {
    response.set_ready(true);
    done(absl::OkStatus());
  }
  void ModelReady(const ControlContext&, const inference::ModelReadyRequest&,
                  inference::ModelReadyResponse& response, ControlDone done) override {
    response.set_ready(true);
    done(absl::OkStatus());
  }
  void ServerMetadata(const ControlContext&, const inference::ServerMetadataRequest&,
                      inference::ServerMetadataResponse&, ControlDone done) override {
    done(absl::OkStatus());
  }
  void ModelMetadata(const ControlContext&, const inference::ModelMetadataRequest& request,
                     inference::ModelMetadataResponse& response, ControlDone done) override {
    response.set_name(request.name());
    const auto add = [](auto* tensor, const char* name, int64_t size) {
      tensor->set_name(name);
      tensor->set_datatype("FP32");
      tensor->add_shape(-1);
      tensor->add_shape(size);
    };
    add(response.add_inputs(), "x", 4);
    add(response.add_outputs(), "p", 2);
    done(absl::OkStatus());
  }
  void ModelConfig(const ControlContext&, const inference::ModelConfigRequest&,
                   inference::ModelConfigResponse& response, ControlDone done) override {
    response.mutable_config()->set_max_batch_size(16);
    done(absl::OkStatus());
  }
  void ModelStatistics(const ControlContext&, const inference::ModelStatisticsRequest&,
                       inference::ModelStatisticsResponse&, ControlDone done) override {
    done(absl::OkStatus());
  }
  void RepositoryIndex(const ControlContext&, const inference::RepositoryIndexRequest&,
                       inference::RepositoryIndexResponse&, ControlDone done) override {
    done(absl::OkStatus());
  }
};

// A router over an expert in this process, spoken to over its in-process channel.
class RouterOip : public ::testing::Test {
 protected:
  void SetUp() override {
    OipServerOptions options;
    options.service = "expert";
    SetNoGrace(*options.config.mutable_drain());
    auto expert = OipServer::Create(std::move(options));
    ASSERT_THAT(expert.status(), IsOk());
    expert_ = *std::move(expert);
    ASSERT_THAT(expert_->Start(model_, model_), IsOk());
    expert_->SetServing(true);

    config::v1::Router config;
    ASSERT_THAT(ReadYaml(R"(
pools:
- name: pool
  experts: [{name: a, joules_per_row: 0.4, latency_ms: 1}, {name: b, joules_per_row: 0.2}]
- name: other
  experts: [{name: c, quality: 0.1234}]
)",
                         config),
                IsOk());
    SetNoGrace(*config.mutable_server()->mutable_drain());
    RouterService::Options router_options;
    router_options.default_address = "127.0.0.1:0";
    router_options.in_process_expert = expert_->InProcessChannel();
    router_options.instance = 0x12345678;
    auto router = RouterService::Create(config, clock_, std::move(router_options));
    ASSERT_THAT(router.status(), IsOk());
    router_ = *std::move(router);
    ASSERT_THAT(router_->Start(), IsOk());
    ASSERT_TRUE(router_->WaitUntilReady(absl::Seconds(20)));
    const auto channel = router_->InProcessChannel();
    oip_ = inference::GRPCInferenceService::NewStub(channel);
    routing_ = v1::Routing::NewStub(channel);
  }
  void TearDown() override {
    oip_.reset();
    routing_.reset();
    router_.reset();
    if (expert_ != nullptr) expert_->Drain();
  }

  static void SetNoGrace(config::v1::Drain& drain) {
    drain.mutable_grace()->set_nanos(1'000'000);
    drain.mutable_timeout()->set_seconds(5);
  }

  static void As(grpc::ClientContext& context, const std::string& tenant, CallerRights rights) {
    context.AddMetadata(kTenantMetadata, tenant);
    const std::string text = rights.ToMetadata();
    if (!text.empty()) context.AddMetadata(kRightsMetadata, text);
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  }

  static inference::ModelInferRequest Request(float first = 0.75f) {
    inference::ModelInferRequest request;
    request.set_model_name("pool");
    request.set_id("7");
    auto& input = *request.add_inputs();
    input.set_name("x");
    input.set_datatype("FP32");
    input.add_shape(1);
    input.add_shape(4);
    for (int i = 0; i < 4; ++i) input.mutable_contents()->add_fp32_contents(first);
    return request;
  }

  inference::ModelInferResponse Infer(const std::string& tenant = "acme") {
    grpc::ClientContext context;
    As(context, tenant, {});
    inference::ModelInferResponse response;
    const grpc::Status status = oip_->ModelInfer(&context, Request(), &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  const RealClock clock_;
  OneModel model_;
  std::unique_ptr<OipServer> expert_;
  std::unique_ptr<RouterService> router_;
  std::unique_ptr<inference::GRPCInferenceService::Stub> oip_;
  std::unique_ptr<v1::Routing::Stub> routing_;
};

TEST_F(RouterOip, AnswersWithTypedContentsInAndRawContentsOut) {
  const inference::ModelInferResponse response = Infer();
  EXPECT_EQ(response.model_name(), "pool");
  EXPECT_EQ(response.id(), "7");
  ASSERT_EQ(response.raw_output_contents_size(), 1);
  EXPECT_EQ(response.raw_output_contents(0).size(), 8u);
  EXPECT_EQ(response.parameters().at("penstock_energy_method").string_param(), "counter");
  EXPECT_DOUBLE_EQ(response.parameters().at("penstock_energy_j").double_param(), 0.5);
  // The server counts an answer once it is written, which the client may learn first.
  router_->Drain();
  EXPECT_EQ(router_->accepted(), 1u);
  EXPECT_EQ(router_->answered(), 1u);
}

TEST_F(RouterOip, SaysWhatAClientAsksBeforeItInfers) {
  const auto call = [](auto method, auto* stub, auto request, auto& response) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    return (stub->*method)(&context, request, &response);
  };
  using Stub = inference::GRPCInferenceService::Stub;
  inference::ServerReadyResponse ready;
  ASSERT_TRUE(call(&Stub::ServerReady, oip_.get(), inference::ServerReadyRequest(), ready).ok());
  EXPECT_TRUE(ready.ready());
  inference::ServerMetadataResponse server;
  ASSERT_TRUE(
      call(&Stub::ServerMetadata, oip_.get(), inference::ServerMetadataRequest(), server).ok());
  EXPECT_THAT(server.extensions(), Contains("statistics"));
  inference::ModelMetadataRequest metadata_request;
  metadata_request.set_name("pool");
  inference::ModelMetadataResponse metadata;
  ASSERT_TRUE(call(&Stub::ModelMetadata, oip_.get(), metadata_request, metadata).ok());
  EXPECT_EQ(metadata.inputs(0).shape(0), -1);
  EXPECT_EQ(metadata.inputs(0).shape(1), 4);
  inference::ModelConfigRequest config_request;
  config_request.set_name("pool");
  inference::ModelConfigResponse config;
  ASSERT_TRUE(call(&Stub::ModelConfig, oip_.get(), config_request, config).ok());
  EXPECT_EQ(config.config().max_batch_size(), 16);
  EXPECT_EQ(config.config().input(0).data_type(), inference::TYPE_FP32);
  inference::RepositoryIndexResponse index;
  ASSERT_TRUE(
      call(&Stub::RepositoryIndex, oip_.get(), inference::RepositoryIndexRequest(), index).ok());
  ASSERT_EQ(index.models_size(), 2);
  EXPECT_EQ(index.models(0).state(), "READY");
  metadata_request.set_name("pond");
  EXPECT_EQ(call(&Stub::ModelMetadata, oip_.get(), metadata_request, metadata).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(RouterOip, CountsWhatItAnswered) {
  Infer();
  Infer();
  grpc::ClientContext context;
  inference::ModelStatisticsRequest request;
  request.set_name("pool");
  inference::ModelStatisticsResponse response;
  ASSERT_TRUE(oip_->ModelStatistics(&context, request, &response).ok());
  EXPECT_EQ(response.model_stats(0).inference_count(), 2u);
  EXPECT_EQ(response.model_stats(0).inference_stats().success().count(), 2u);
}

TEST_F(RouterOip, ExplainsWithoutRunning) {
  grpc::ClientContext context;
  As(context, "acme", {});
  v1::ExplainRequest request;
  *request.mutable_request() = Request();
  v1::ExplainResponse response;
  const grpc::Status status = routing_->Explain(&context, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.decision().pool(), "pool");
  EXPECT_EQ(response.decision().runs_size(), 1);
  EXPECT_EQ(expert_->accepted(), 0u);
}

TEST_F(RouterOip, OnlyAdministratorsSeeExactScores) {
  v1::ExplainRequest request;
  *request.mutable_request() = Request();
  request.mutable_request()->set_model_name("other");
  for (const bool admin : {false, true}) {
    grpc::ClientContext context;
    As(context, "acme", {.admin = admin});
    v1::ExplainResponse response;
    const grpc::Status status = routing_->Explain(&context, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    ASSERT_EQ(response.decision().candidates_size(), 1);
    EXPECT_NEAR(response.decision().candidates(0).quality(), admin ? 0.1234 : 0.12, 1e-6);
    // Where a promise of quality would leave nobody tells the same score.
    bool told = false;
    for (const v1::Counterfactual& other : response.decision().counterfactuals()) {
      if (other.limit() != v1::Counterfactual::MIN_QUALITY) continue;
      told = true;
      EXPECT_NEAR(other.bound(), admin ? 0.1234 : 0.12, 1e-6);
      EXPECT_NEAR(other.change(), admin ? 0.1234 : 0.12, 1e-6);
    }
    EXPECT_TRUE(told);
  }
}

TEST_F(RouterOip, OnlyAdministratorsSeeExactShares) {
  for (const char* expert : {"a", "a", "b"}) {
    inference::ModelInferRequest request = Request();
    (*request.mutable_parameters())["penstock_experts"].set_string_param(expert);
    grpc::ClientContext context;
    As(context, "acme", {.forced_experts = true});
    inference::ModelInferResponse response;
    ASSERT_TRUE(oip_->ModelInfer(&context, request, &response).ok());
  }
  for (const bool admin : {false, true}) {
    grpc::ClientContext context;
    As(context, "acme", {.pools = {"pool"}, .admin = admin});
    v1::ListExpertsResponse experts;
    ASSERT_TRUE(routing_->ListExperts(&context, {}, &experts).ok());
    ASSERT_EQ(experts.experts_size(), 2);
    EXPECT_NEAR(experts.experts(0).share(), admin ? 2.0 / 3 : 0.67, 1e-9);
  }
}

TEST_F(RouterOip, AReportIsForDecisionsOfTheCallersTenant) {
  const std::string id =
      Infer("acme").parameters().at("penstock_decision_id").string_param();
  v1::ReportRequest request;
  request.set_decision_id(id);
  request.set_quality(0.5);
  v1::ReportResponse response;
  grpc::ClientContext other;
  As(other, "other", {});
  EXPECT_EQ(routing_->Report(&other, request, &response).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  grpc::ClientContext own;
  As(own, "acme", {});
  EXPECT_TRUE(routing_->Report(&own, request, &response).ok());
}

TEST_F(RouterOip, ListsPoolsAndExpertsThatTheCallerMayCall) {
  Infer();
  grpc::ClientContext context;
  As(context, "acme", {.pools = {"pool"}});
  v1::ListPoolsResponse pools;
  ASSERT_TRUE(routing_->ListPools(&context, {}, &pools).ok());
  ASSERT_EQ(pools.pools_size(), 1);
  EXPECT_EQ(pools.pools(0).requests(), 1u);
  EXPECT_TRUE(pools.pools(0).ready());
  grpc::ClientContext again;
  As(again, "acme", {.pools = {"pool"}});
  v1::ListExpertsResponse experts;
  ASSERT_TRUE(routing_->ListExperts(&again, {}, &experts).ok());
  ASSERT_EQ(experts.experts_size(), 2);
  EXPECT_TRUE(experts.experts(0).admitted());
  EXPECT_TRUE(experts.experts(0).replicas(0).healthy());
}

TEST_F(RouterOip, BudgetsAreSetByAdministratorsAndSeenByTheirTenants) {
  v1::SetBudgetRequest set;
  set.set_pool("pool");
  set.mutable_budget()->set_amount(3);
  set.mutable_budget()->set_per(config::v1::Budget::HOUR);
  set.mutable_budget()->set_tenant("acme");
  v1::SetBudgetResponse done;
  grpc::ClientContext tenant;
  As(tenant, "acme", {});
  EXPECT_EQ(routing_->SetBudget(&tenant, set, &done).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  grpc::ClientContext admin;
  As(admin, "root", {.admin = true});
  ASSERT_TRUE(routing_->SetBudget(&admin, set, &done).ok());
  v1::GetBudgetRequest get;
  get.set_pool("pool");
  get.set_tenant("acme");
  v1::GetBudgetResponse budgets;
  grpc::ClientContext own;
  As(own, "acme", {});
  ASSERT_TRUE(routing_->GetBudget(&own, get, &budgets).ok());
  ASSERT_EQ(budgets.budgets_size(), 1);
  EXPECT_EQ(budgets.budgets(0).budget().amount(), 3);
  grpc::ClientContext other;
  As(other, "other", {});
  EXPECT_EQ(routing_->GetBudget(&other, get, &budgets).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
}

TEST_F(RouterOip, WatchersSeeDecisionsUntilTheDrain) {
  grpc::ClientContext context;
  As(context, "root", {.admin = true});
  auto stream = routing_->WatchDecisions(&context, {});
  stream->WaitForInitialMetadata();
  const std::string id = Infer().parameters().at("penstock_decision_id").string_param();
  v1::Decision decision;
  ASSERT_TRUE(stream->Read(&decision));
  EXPECT_EQ(decision.id(), id);
  router_->Drain();
  EXPECT_FALSE(stream->Read(&decision));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(RouterOip, WatchingNeedsTheAdminRight) {
  grpc::ClientContext context;
  As(context, "acme", {});
  auto stream = routing_->WatchDecisions(&context, {});
  v1::Decision decision;
  EXPECT_FALSE(stream->Read(&decision));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::PERMISSION_DENIED);
}

TEST_F(RouterOip, TheDecisionLogKeepsWhatAdministratorsDid) {
  const TempDir dir;
  config::v1::Router config;
  ASSERT_THAT(ReadYaml("pools: [{name: pool, experts: [{name: a}]}]", config), IsOk());
  config.mutable_decision_log()->set_directory(dir.File("log"));
  SetNoGrace(*config.mutable_server()->mutable_drain());
  RouterService::Options options;
  options.in_process_expert = expert_->InProcessChannel();
  auto router = *RouterService::Create(config, clock_, std::move(options));
  ASSERT_THAT(router->Start(), IsOk());
  const auto routing = v1::Routing::NewStub(router->InProcessChannel());
  v1::SetBudgetRequest set;
  set.set_pool("pool");
  set.mutable_budget()->set_amount(3);
  set.mutable_budget()->set_per(config::v1::Budget::HOUR);
  v1::SetBudgetResponse done;
  for (const bool admin : {true, false}) {
    grpc::ClientContext context;
    As(context, admin ? "root" : "acme", {.admin = admin});
    context.AddMetadata(kCredentialMetadata, admin ? "key:01234567" : "token:me");
    EXPECT_EQ(routing->SetBudget(&context, set, &done).ok(), admin);
  }
  router->Drain();
  router.reset();  // the log is whole
  std::string log;
  for (const auto& file : std::filesystem::recursive_directory_iterator(dir.File("log"))) {
    if (file.is_regular_file()) log += dir.Read("log/" + file.path().filename().string());
  }
  EXPECT_THAT(log, HasSubstr(R"("tenant":"root","caller":"key:01234567","method":"SetBudget")"));
  EXPECT_THAT(log, HasSubstr(R"("tenant":"acme","caller":"token:me","method":"SetBudget")"));
  EXPECT_THAT(log, HasSubstr("PERMISSION_DENIED"));
}

TEST_F(RouterOip, AStrangerIsNotAnsweredNorBelieved) {
  const auto channel =
      grpc::CreateChannel(router_->address(), grpc::InsecureChannelCredentials());
  grpc::ClientContext context;
  As(context, "root", {.admin = true});
  v1::ListPoolsResponse pools;
  EXPECT_EQ(v1::Routing::NewStub(channel)->ListPools(&context, {}, &pools).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  grpc::ClientContext forced;
  As(forced, "acme", {.forced_experts = true});
  inference::ModelInferRequest request = Request();
  (*request.mutable_parameters())["penstock_experts"].set_string_param("a");
  inference::ModelInferResponse response;
  EXPECT_EQ(inference::GRPCInferenceService::NewStub(channel)
                ->ModelInfer(&forced, request, &response)
                .error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
}

TEST(RouterServiceConfig, WithoutAnExpertInTheProcessReplicasAreNeeded) {
  config::v1::Router config;
  ASSERT_THAT(ReadYaml("pools: [{name: pool, experts: [{name: a}]}]", config), IsOk());
  EXPECT_THAT(RouterService::Validate(config),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("replicas")));
  EXPECT_THAT(RouterService::Validate(config, true), IsOk());
}

TEST(RouterServiceTest, ValidateTakesEveryStoreAndNoAddressThatIsNone) {
  config::v1::Router config;
  ASSERT_THAT(ReadYaml(R"(
store: "memory://"
pools: [{name: pool, experts: [{name: a, replicas: [{address: "x:1"}]}]}]
)",
                       config),
              IsOk());
  EXPECT_THAT(RouterService::Validate(config), IsOk());
  for (const char* store : {"redis://:secret@localhost", "redis+unix:///run/redis?prefix=p:",
                            "rediss://me:secret@host:1/2", "redis+sentinel://host/main"}) {
    config.set_store(store);
    EXPECT_THAT(RouterService::Validate(config), IsOk());
  }
  // An address may hold a password: the refusal does not show it.
  config.set_store("redis://:secret@localhost?nonsense=1");
  const absl::Status refused = RouterService::Validate(config);
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("store: ")));
  EXPECT_THAT(std::string(refused.message()), Not(HasSubstr("secret")));
}

TEST(RouterServiceTest, ValidateNamesAGraceThatIsNone) {
  config::v1::Router config;
  ASSERT_THAT(ReadYaml(R"(
store: "redis://localhost"
store_grace: 25h
on_store_down: DENY
pools: [{name: pool, experts: [{name: a, replicas: [{address: "x:1"}]}]}]
)",
                       config),
              IsOk());
  EXPECT_THAT(RouterService::Validate(config),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("store_grace"), HasSubstr("25h"), HasSubstr("24h"))));
  config.mutable_store_grace()->set_seconds(24 * 3600);
  EXPECT_THAT(RouterService::Validate(config), IsOk());
  config.mutable_store_grace()->set_seconds(-1);
  EXPECT_THAT(RouterService::Validate(config), StatusIs(absl::StatusCode::kInvalidArgument));
  config.mutable_store_grace()->set_seconds(0);
  EXPECT_THAT(RouterService::Validate(config), IsOk());
}

}  // namespace
}  // namespace penstock::router
