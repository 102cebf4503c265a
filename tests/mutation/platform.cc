#include "tests/mutation/platform.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/substitute.h"
#include "cli/client/metrics_scrape.h"
#include "common/net/caller_rights.h"
#include "common/tensors/safetensors.h"
#include "common/utf8.h"
#include "gtest/gtest.h"
#include "inference/grpc_service.grpc.pb.h"
#include "tests/integration/test_models.h"

namespace penstock {
namespace {

// SHA-256 of alice-key, bob-key, poor-key.
constexpr char kKeys[] = R"(
keys:
  - sha256: 72ee9d4355ccb9d3a4c9dbf37382e38e75c1b1a225b5bd1f729ee91bbda30c20
    tenant: alice
    forced_experts: true
    admin: true
  - sha256: 9b94dc1a51a38769f135edf04033ad7f2f487b6c25929be7a861cfc1ab10cf98
    tenant: bob
    pools: [plain, texts, kept]
  - sha256: 58d2f9d97bc1fe69939a6c081f22b9d1ee1663f4ac207206ba29a90f1ab69c43
    tenant: poor
    quota: small
)";

constexpr char kServer[] =
    R"({grpc: "127.0.0.1:0", metrics: "127.0.0.1:0", drain: {grace: 0.1s, timeout: 30s},
        max_message_bytes: 1048576})";

// $0 server, $1 folder, $2 experts
constexpr char kRouter[] = R"(
server: $0
trust_plaintext: true
learning: OFF
decision_log: {directory: $1/decisions, capacity: 1000, features: true}
pools:
  - {name: plain, experts: [{name: tiny, replicas: [{address: "$2"}]}]}
  - name: pair
    experts: [{name: tiny, replicas: [{address: "$2"}]}, {name: other, replicas: [{address: "$2"}]}]
    selection: {max_experts: 2}
    combiner: WEIGHTED_SUM
    classes: {gold: {latency_budget_ms: 5000}}
  - name: rows
    granularity: ROW
    experts: [{name: tiny, replicas: [{address: "$2"}]}, {name: other, replicas: [{address: "$2"}]}]
    features: {tensor_pooling: {input: x}}
    gate: {topk_softmax: {file: "$1/gate.safetensors", k: 1}}
    combiner: WEIGHTED_SUM
  - name: kept
    cacheable: {share_between_tenants: true}
    experts: [{name: tiny, replicas: [{address: "$2"}]}]
  - name: pooled
    experts: [{name: tiny, replicas: [{address: "$2"}]}, {name: other, replicas: [{address: "$2"}]}]
    features: {tensor_pooling: {input: x, cells: 4}}
    gate: {topk_softmax: {file: "$1/gate.safetensors", k: 1}}
    selection: {score: GATE_MASS}
    hedging: {}
  - {name: budgeted, experts: [{name: tiny, replicas: [{address: "$2"}]}]}
  - name: texts
    features: {text: {input: texts, bits: 10, surface: true, character_ngrams: 3}}
    experts: [{name: echo, replicas: [{address: "$2"}]}]
)";

constexpr char kEcho[] = R"(
inputs:
  - {name: floats, datatype: FP32, shape: [-1, 2]}
  - {name: ids, datatype: INT64, shape: [-1]}
  - {name: texts, datatype: BYTES, shape: [-1]}
outputs:
  - {name: floats, datatype: FP32, shape: [-1, 2]}
  - {name: ids, datatype: INT64, shape: [-1]}
  - {name: texts, datatype: BYTES, shape: [-1]}
blocks: [{identity: {}}]
batching: {max_rows: 0}
)";

constexpr const char* kModels[] = {"tiny", "other", "echo", "spare"};
constexpr const char* kNumberPools[] = {"plain", "pair", "rows", "kept", "pooled", "budgeted"};
// A series for each pool, model, tenant, code and the like; names that callers make up are not
// among them.
constexpr size_t kMostSeries = 5000;

// Reports of the services' sanitizers go where this says.
void SendReportsTo(const std::string& path) {
  for (const char* variable : {"ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"}) {
    const char* const present = std::getenv(variable);
    setenv(variable,
           absl::StrCat(present == nullptr ? "" : absl::StrCat(present, ":"), "log_path=", path)
               .c_str(),
           /*overwrite=*/1);
  }
}

InferRequest TextRequest() {
  InferRequest request;
  request.model_name = "texts";
  request.inputs.push_back(FloatTensor("floats", {1, 2}, {1, 2}));
  request.inputs.push_back({.name = "ids",
                            .datatype = DataType::kInt64,
                            .shape = {1},
                            .data = Bytes(std::string("\7\0\0\0\0\0\0\0", 8))});
  request.inputs.push_back(StringTensor("texts", {1}, {"words"}));
  return request;
}

}  // namespace

std::unique_ptr<MutationPlatform> MutationPlatform::Start() {
  std::unique_ptr<MutationPlatform> platform(new MutationPlatform());
  const TempDir& folder = platform->folder_;
  std::filesystem::create_directories(folder.File("reports"));
  SendReportsTo(folder.File("reports/report"));
  for (const char* name : {"tiny", "other", "spare"}) WriteTinyModel(folder, name);
  folder.Write("echo/config.yaml", kEcho);
  folder.Write("echo/1/.keep", "");
  const absl::Status written =
      WriteSafetensors(folder.File("gate.safetensors"), {{"weight", {2, 4}, TestFloats(3, 8, 1)}},
                       {{"experts", R"(["tiny", "other"])"}});
  EXPECT_TRUE(written.ok()) << written;

  platform->expert_ = Process::Start(
      "penstock-expert",
      absl::Substitute("server: $0\nmodel_repository: $1\nmodels: [tiny, other, echo, spare]\n"
                       "trust_plaintext: true\nexecution: {threads: 2, warm_up_runs: 1}\n",
                       kServer, folder.path()));
  if (platform->expert_ == nullptr) return nullptr;
  platform->router_ =
      Process::Start("penstock-router",
                     absl::Substitute(kRouter, kServer, folder.path(), platform->expert_->grpc()));
  if (platform->router_ == nullptr) return nullptr;
  platform->gateway_ = Process::Start(
      "penstock-gateway",
      absl::Substitute("server: $0\nrouters: [{address: \"$1\"}]\npage: {http: \"off\"}\n"
                       "identity: {api_keys_file: $2, quotas: {small: {max_in_flight: 2}}}\n",
                       kServer, platform->router_->grpc(), folder.Write("keys.yaml", kKeys)));
  if (platform->gateway_ == nullptr) return nullptr;
  platform->alice_ = std::make_unique<TestClient>(platform->gateway_->grpc(), "alice-key");
  EXPECT_TRUE(platform->alice_->WaitForExperts());

  std::vector<InferRequest> requests = {TextRequest()};
  for (const char* pool : kNumberPools) requests.push_back(TinyRequest(pool, 3));
  for (InferRequest& request : requests) {
    RawAnswer answer = Essence(platform->alice_->Answered(request));
    platform->expected_.push_back({std::move(request), std::move(answer)});
  }
  return platform;
}

std::array<std::string, 3> MutationPlatform::addresses() const {
  return {gateway_->grpc(), router_->grpc(), expert_->grpc()};
}

std::string MutationPlatform::Ended() {
  std::string ended;
  const std::pair<const char*, Process*> processes[] = {
      {"gateway", gateway_.get()}, {"router", router_.get()}, {"expert", expert_.get()}};
  for (const auto& [name, process] : processes) {
    if (!process->running()) {
      absl::StrAppend(&ended, "the ", name, " has ended with ", process->Wait().value_or(0), "\n",
                      process->Log(), "\n");
    }
  }
  return ended;
}

std::string MutationPlatform::Reports() const {
  std::string reports;
  for (const auto& entry : std::filesystem::directory_iterator(folder_.File("reports"))) {
    absl::StrAppend(&reports, folder_.Read("reports/" + entry.path().filename().string()), "\n");
  }
  return reports;
}

void MutationPlatform::Restore() {
  const auto models = inference::GRPCInferenceService::NewStub(
      grpc::CreateChannel(expert_->grpc(), grpc::InsecureChannelCredentials()));
  for (const char* model : kModels) {
    grpc::ClientContext context;
    context.AddMetadata(kRightsMetadata, "admin");
    inference::RepositoryModelLoadRequest request;
    request.set_model_name(model);
    inference::RepositoryModelLoadResponse response;
    const grpc::Status loaded = models->RepositoryModelLoad(&context, request, &response);
    EXPECT_TRUE(loaded.ok()) << model << ": " << loaded.error_message();
  }
  RemoveBudgets();
  EXPECT_TRUE(alice_->WaitForExperts());
}

void MutationPlatform::RemoveBudgets() {
  v1::Routing::Stub& routing = alice_->pool_client().routing();
  const auto with_key = [&](grpc::ClientContext& context) {
    alice_->pool_client().Prepare(context, absl::Seconds(20));
    for (const auto& [key, value] : alice_->metadata()) context.AddMetadata(key, value);
  };
  v1::GetBudgetRequest which;
  which.set_all(true);
  v1::GetBudgetResponse budgets;
  {
    grpc::ClientContext context;
    with_key(context);
    const grpc::Status got = routing.GetBudget(&context, which, &budgets);
    ASSERT_TRUE(got.ok()) << got.error_message();
  }
  for (const v1::BudgetStatus& budget : budgets.budgets()) {
    grpc::ClientContext context;
    with_key(context);
    v1::SetBudgetRequest request;
    request.set_pool(budget.pool());
    *request.mutable_budget() = budget.budget();
    request.mutable_budget()->set_amount(0);
    v1::SetBudgetResponse response;
    const grpc::Status removed = routing.SetBudget(&context, request, &response);
    EXPECT_TRUE(removed.ok()) << request.ShortDebugString() << ": " << removed.error_message();
  }
}

void MutationPlatform::ExpectItServes() {
  for (const Expected& one : expected_) {
    const std::string& pool = one.request.model_name;
    std::string difference;
    // Reloaded models are known to the router within a moment.
    EXPECT_TRUE(Eventually([&] {
      const auto answer = cli::DecodeAnswer(alice_->Call(one.request));
      difference =
          answer.ok() ? Difference(one.answer, Essence(*answer)) : answer.status().ToString();
      return difference.empty();
    })) << pool
        << ": " << difference;
  }
}

void MutationPlatform::ExpectSoundMetrics() {
  for (Process* process : {gateway_.get(), router_.get(), expert_.get()}) {
    const auto text = cli::ScrapeMetrics(process->metrics());
    ASSERT_TRUE(text.ok()) << text.status();
    EXPECT_TRUE(IsUtf8(*text)) << process->metrics();
    size_t series = 0;
    for (const absl::string_view line : absl::StrSplit(*text, '\n')) {
      series += line.empty() || line.front() == '#' ? 0 : 1;
    }
    EXPECT_LE(series, kMostSeries) << text->substr(0, 20'000);
  }
}

void MutationPlatform::Stop() {
  alice_ = nullptr;
  for (Process* process : {gateway_.get(), router_.get(), expert_.get()}) {
    EXPECT_EQ(process->Stop().value_or(-1000), 0) << process->Log();
  }
}

}  // namespace penstock
