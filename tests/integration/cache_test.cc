// Answers that gateways keep: a gateway and a router, each a process, and an expert of the test's
// own that counts what it is asked.

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "absl/time/clock.h"
#include "cli/client/metrics_scrape.h"
#include "common/net/caller_rights.h"
#include "common/tensors/safetensors.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "inference/grpc_service.grpc.pb.h"
#include "tests/common/store/redis/redis_server.h"
#include "tests/integration/client.h"
#include "tests/integration/fake_expert.h"
#include "tests/integration/process.h"
#include "tests/integration/test_models.h"
#include "tests/support/temp_dir.h"

namespace penstock {
namespace {

constexpr char kServer[] =
    R"({grpc: "127.0.0.1:0", metrics: "127.0.0.1:0", drain: {grace: 0s, timeout: 20s}})";

// SHA-256 of alice-key, bob-key, poor-key.
constexpr char kKeys[] = R"(
keys:
  - sha256: 72ee9d4355ccb9d3a4c9dbf37382e38e75c1b1a225b5bd1f729ee91bbda30c20
    tenant: alice
  - sha256: 9b94dc1a51a38769f135edf04033ad7f2f487b6c25929be7a861cfc1ab10cf98
    tenant: bob
  - sha256: 58d2f9d97bc1fe69939a6c081f22b9d1ee1663f4ac207206ba29a90f1ab69c43
    tenant: poor
    pools: [plain]
)";

// $0 server, $1 the expert, $2 how good it is believed to be
constexpr char kRouter[] = R"(
server: $0
trust_plaintext: true
learning: OFF
pools:
  - name: kept
    cacheable: {}
    experts: [{name: fake, replicas: [{address: "$1"}], joules_per_row: 2, quality: $2}]
  - name: shared
    cacheable: {share_between_tenants: true}
    experts: [{name: fake, replicas: [{address: "$1"}], joules_per_row: 2}]
  - {name: plain, experts: [{name: fake, replicas: [{address: "$1"}], joules_per_row: 2}]}
)";

// y = [sum, sum + 1] of each row.
std::vector<float> RightAnswer(const std::vector<float>& row) {
  float sum = 0;
  for (const float x : row) sum += x;
  return {sum, sum + 1};
}
void AnswerWithSums(const std::shared_ptr<IncomingCall>& call) {
  const auto header = ScanInferRequest(call->request());
  const auto inputs = DecodeInputs(call->request(), *header);
  InferResponse response;
  response.model_name = header->model_name;
  response.outputs.push_back(FloatTensor("y", {1, 2}, RightAnswer(*ToFloats(inputs->front()))));
  call->Finish({.status = absl::OkStatus(), .body = EncodeInferResponse(response), .trailers = {}});
}

InferRequest RequestTo(const std::string& pool, const std::vector<float>& row,
                       std::string id = "") {
  InferRequest request;
  request.model_name = pool;
  request.id = std::move(id);
  request.inputs.push_back(FloatTensor("x", {1, 4}, row));
  return request;
}

class CacheTest : public testing::Test {
 protected:
  struct Parts {
    TempDir folder;
    FakeExpert fake;
    std::unique_ptr<Process> router;
    std::unique_ptr<Process> gateway;
    std::unique_ptr<TestClient> alice, bob, poor;
  };

  static std::unique_ptr<Process> StartGateway(const Parts& parts, const std::string& cache) {
    return Process::Start(
        "penstock-gateway",
        absl::Substitute("server: $0\nrouters: [{address: \"$1\"}]\npage: {http: \"off\"}\ncatalogue_ttl: 0.05s\n"
                         "admission: {max_in_flight: 20000}\nidentity: {api_keys_file: $2}\n"
                         "cache: $3\n",
                         kServer, parts.router->grpc(), parts.folder.File("keys.yaml"), cache));
  }
  // A gateway learns of them in its own time.
  static bool KnowsThePolicies(TestClient& gateway) {
    return Eventually([&] {
      const auto answer = cli::DecodeAnswer(gateway.Call(RequestTo("kept", {9, 9, 9, 9})));
      return answer.ok() && !answer->Text("penstock_cache").empty();
    });
  }

  static void SetUpTestSuite() {
    auto parts = std::make_unique<Parts>();
    parts->fake.Do(&AnswerWithSums);
    parts->router = Process::Start("penstock-router",
                                   absl::Substitute(kRouter, kServer, parts->fake.address(), 0.5));
    if (parts->router == nullptr) return;
    parts->folder.Write("keys.yaml", kKeys);
    parts->gateway = StartGateway(*parts, "{}");
    if (parts->gateway == nullptr) return;
    parts->alice = std::make_unique<TestClient>(parts->gateway->grpc(), "alice-key");
    parts->bob = std::make_unique<TestClient>(parts->gateway->grpc(), "bob-key");
    parts->poor = std::make_unique<TestClient>(parts->gateway->grpc(), "poor-key");
    if (!parts->alice->WaitForExperts()) return;
    if (KnowsThePolicies(*parts->alice)) parts_ = parts.release();
  }
  static void TearDownTestSuite() {
    delete parts_;
    parts_ = nullptr;
  }
  void SetUp() override { ASSERT_NE(parts_, nullptr) << "the platform did not start"; }

  static FakeExpert& fake() { return parts_->fake; }
  static TestClient& alice() { return *parts_->alice; }
  static TestClient& bob() { return *parts_->bob; }
  // Whose pools do not include the cacheable ones.
  static TestClient& poor() { return *parts_->poor; }

  // Requests that the gateway has admitted and not answered.
  static double InFlight() {
    const auto text = cli::ScrapeMetrics(parts_->gateway->metrics());
    return text.ok() ? cli::SumOfMetric(*text, "penstock_gateway_in_flight_requests") : 0;
  }

  static std::vector<float> Outputs(const cli::Answer& answer) {
    const Tensor* y = answer.Output("y");
    return y == nullptr ? std::vector<float>() : ToFloats(*y).value_or(std::vector<float>());
  }

  static Parts* parts_;
};

CacheTest::Parts* CacheTest::parts_ = nullptr;

TEST_F(CacheTest, TenThousandEqualRequestsOfWhichTheFirstGoesAwayAreOneExecution) {
  constexpr int kRequests = 10'000;
  const std::vector<float> row = {1, 2, 3, 4};
  const size_t before = fake().calls();
  fake().Hold();
  const absl::Time deadline = absl::Now() + absl::Seconds(60);
  // So that it is the one that the run is for.
  std::vector<std::shared_ptr<Pending>> pending = {
      alice().Send(RequestTo("kept", row, "id0"), deadline)};
  ASSERT_TRUE(Eventually([] { return fake().held() == 1; }));
  const auto send_until = [&](int end) {
    for (int i = static_cast<int>(pending.size()); i < end; ++i) {
      pending.push_back(alice().Send(RequestTo("kept", row, absl::StrCat("id", i)), deadline));
    }
  };
  // The flight would be over with it where nobody had joined by then.
  send_until(100);
  ASSERT_TRUE(Eventually([] { return InFlight() >= 50; }));
  pending.front()->Cancel();
  send_until(kRequests);
  EXPECT_TRUE(absl::IsCancelled(pending.front()->Wait().status));
  EXPECT_EQ(fake().cancelled(), 0u);
  fake().ReleaseWith(&AnswerWithSums);
  int ran = 0;
  for (int i = 1; i < kRequests; ++i) {
    const InferReply& reply = pending[i]->Wait();
    ASSERT_TRUE(reply.status.ok()) << i << ": " << reply.status;
    const auto answer = cli::DecodeAnswer(reply);
    ASSERT_TRUE(answer.ok()) << answer.status();
    ASSERT_EQ(Outputs(*answer), RightAnswer(row)) << i;
    ASSERT_EQ(ScanInferResponse(reply.body)->id, absl::StrCat("id", i));
    ran += answer->Text("penstock_cache") == "miss";
    if (answer->Text("penstock_cache") == "hit") {
      ASSERT_EQ(answer->Number("penstock_energy_j", -1), 0) << i;
    }
  }
  EXPECT_EQ(fake().calls(), before + 1);
  EXPECT_EQ(ran, 0);  // the one that ran went away
}

TEST_F(CacheTest, AKeptAnswerIsTheSameAnswerAndTookNothing) {
  const std::vector<float> row = {2, 2, 2, 2};
  const cli::Answer first = alice().Answered(RequestTo("kept", row));
  const size_t before = fake().calls();
  const cli::Answer again = alice().Answered(RequestTo("kept", row));
  EXPECT_EQ(fake().calls(), before);
  EXPECT_EQ(first.Text("penstock_cache"), "miss");
  EXPECT_EQ(first.Number("penstock_energy_j", -1), 2);
  EXPECT_EQ(again.Text("penstock_cache"), "hit");
  EXPECT_EQ(again.Number("penstock_energy_j", -1), 0);
  EXPECT_EQ(again.Text("penstock_energy_method"), "cached");
  EXPECT_EQ(again.Text("penstock_experts"), "fake");
  EXPECT_EQ(again.Text("penstock_decision_id"), first.Text("penstock_decision_id"));
  EXPECT_EQ(Outputs(again), RightAnswer(row));
}

TEST_F(CacheTest, AnotherTenantsAnswerIsServedOnlyWhereThePoolShares) {
  const std::vector<float> row = {3, 3, 3, 3};
  alice().Answered(RequestTo("kept", row));
  alice().Answered(RequestTo("shared", row));
  const size_t before = fake().calls();
  EXPECT_EQ(bob().Answered(RequestTo("kept", row)).Text("penstock_cache"), "miss");
  EXPECT_EQ(fake().calls(), before + 1);
  EXPECT_EQ(bob().Answered(RequestTo("shared", row)).Text("penstock_cache"), "hit");
  EXPECT_EQ(fake().calls(), before + 1);
}

TEST_F(CacheTest, WhoMayNotCallThePoolIsServedNothing) {
  const std::vector<float> row = {4, 4, 4, 4};
  alice().Answered(RequestTo("shared", row));
  EXPECT_TRUE(absl::IsPermissionDenied(poor().Call(RequestTo("shared", row)).status));
  TestClient stranger(parts_->gateway->grpc());
  EXPECT_TRUE(absl::IsUnauthenticated(stranger.Call(RequestTo("shared", row)).status));
}

TEST_F(CacheTest, BypassAndPoolsThatAreNotCacheableRunEveryTime) {
  InferRequest bypass = RequestTo("kept", {5, 5, 5, 5});
  bypass.parameters.push_back({"penstock_cache", std::string("bypass")});
  const size_t before = fake().calls();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(alice().Answered(bypass).Text("penstock_cache"), "bypass");
    EXPECT_EQ(alice().Answered(RequestTo("plain", {5, 5, 5, 5})).Text("penstock_cache"), "");
  }
  EXPECT_EQ(fake().calls(), before + 6);
}

TEST_F(CacheTest, MessagesOfAStreamRunEveryTime) {
  const InferRequest request = RequestTo("kept", {6, 6, 6, 6});
  alice().Answered(request);
  const size_t before = fake().calls();
  const auto stub =
      inference::GRPCInferenceService::NewStub(alice().pool_client().target().channel());
  grpc::ClientContext context;
  context.AddMetadata("authorization", "Bearer alice-key");
  const auto stream = stub->ModelStreamInfer(&context);
  inference::ModelInferRequest message;
  ASSERT_TRUE(message.ParseFromString(EncodeInferRequest(request).ToString()));
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(stream->Write(message));
    inference::ModelStreamInferResponse response;
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.error_message(), "");
    EXPECT_EQ(response.infer_response().parameters().at("penstock_cache").string_param(), "bypass");
  }
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(fake().calls(), before + 2);
}

TEST_F(CacheTest, AFailureIsSharedByThoseWhoWaitAndNotKept) {
  const std::vector<float> row = {7, 7, 7, 7};
  const size_t before = fake().calls();
  fake().Hold();
  std::vector<std::shared_ptr<Pending>> pending;
  for (int i = 0; i < 10; ++i) pending.push_back(alice().Send(RequestTo("kept", row)));
  ASSERT_TRUE(Eventually([] { return fake().held() == 1; }));
  fake().ReleaseWith(FakeExpert::AnswerWith({absl::InvalidArgumentError("never"), {}, {}}));
  for (const auto& one : pending) {
    EXPECT_TRUE(absl::IsInvalidArgument(one->Wait().status)) << one->Wait().status;
  }
  EXPECT_EQ(fake().calls(), before + 1);
  EXPECT_EQ(alice().Answered(RequestTo("kept", row)).Text("penstock_cache"), "miss");
}

TEST_F(CacheTest, GatewaysShareAStoreAndDoWithoutIt) {
  RedisServer redis;
  const std::string cache = absl::StrCat("{store: \"", redis.unix_uri(), "\"}");
  const auto one = StartGateway(*parts_, cache), other = StartGateway(*parts_, cache);
  ASSERT_TRUE(one != nullptr && other != nullptr);
  TestClient at_one(one->grpc(), "alice-key"), at_other(other->grpc(), "alice-key");
  ASSERT_TRUE(KnowsThePolicies(at_one) && KnowsThePolicies(at_other));

  // Each row is asked once at each: what is a hit at the second comes from the store.
  float next = 100;
  const auto second_hits = [&] {
    const std::vector<float> row = {++next, 0, 0, 0};
    const cli::Answer first = at_one.Answered(RequestTo("kept", row));
    const size_t before = fake().calls();
    const cli::Answer second = at_other.Answered(RequestTo("kept", row));
    EXPECT_EQ(Outputs(first), RightAnswer(row));
    EXPECT_EQ(Outputs(second), RightAnswer(row));
    const bool hit = second.Text("penstock_cache") == "hit";
    EXPECT_EQ(fake().calls(), before + (hit ? 0 : 1));
    return hit;
  };
  const auto connected = [&] {
    const auto text = cli::ScrapeMetrics(one->metrics());
    return text.ok() ? cli::SumOfMetric(*text, "penstock_store_connected") : -1;
  };
  EXPECT_TRUE(Eventually(second_hits));
  EXPECT_TRUE(Eventually([&] { return connected() == 1; }));
  redis.Kill();
  for (int i = 0; i < 20; ++i) EXPECT_FALSE(second_hits());
  EXPECT_TRUE(Eventually([&] { return connected() == 0; }));
  redis.Start();
  EXPECT_TRUE(Eventually(second_hits));
  EXPECT_TRUE(Eventually([&] { return connected() == 1; }));
}

TEST_F(CacheTest, RoutersTellGatewaysTheVersionButNotCallers) {
  TestClient router(parts_->router->grpc());
  const InferReply reply = router.Call(RequestTo("kept", {8, 8, 8, 8}));
  EXPECT_EQ(FindMetadata(reply.trailers, kAnswerVersionMetadata).size(), 64u);
  const InferReply through = alice().Call(RequestTo("kept", {8, 8, 8, 8}));
  EXPECT_EQ(FindMetadata(through.trailers, kAnswerVersionMetadata), "");
}

// Nobody reconfigures anything: a file in the expert's repository is replaced.
TEST_F(CacheTest, OtherWeightsOfAnExpertEndWhatWasKept) {
  TempDir models;
  WriteTinyModel(models, "tiny");
  const auto expert = Process::Start(
      "penstock-expert", absl::Substitute("server: $0\nmodel_repository: $1\n"
                                          "execution: {threads: 1, warm_up_runs: 1}\n",
                                          kServer, models.path()));
  ASSERT_NE(expert, nullptr);
  const auto router = Process::Start(
      "penstock-router",
      absl::Substitute("server: $0\ntrust_plaintext: true\npools: [{name: kept, cacheable: {ttl: "
                       "3600s}, experts: [{name: tiny, replicas: [{address: \"$1\"}]}]}]\n",
                       kServer, expert->grpc()));
  ASSERT_NE(router, nullptr);
  ASSERT_TRUE(TestClient(router->grpc()).WaitForExperts());
  const auto gateway = Process::Start(
      "penstock-gateway",
      absl::Substitute("server: $0\nrouters: [{address: \"$1\"}]\npage: {http: \"off\"}\ncatalogue_ttl: 0.05s\n", kServer,
                       router->grpc()));
  ASSERT_NE(gateway, nullptr);
  TestClient client(gateway->grpc());
  ASSERT_TRUE(KnowsThePolicies(client));
  const InferRequest request = RequestTo("kept", {1, 2, 3, 4});
  const auto is_a_hit = [&] { return client.Answered(request).Text("penstock_cache") == "hit"; };
  ASSERT_TRUE(Eventually(is_a_hit));
  const std::vector<float> before = Outputs(client.Answered(request));

  const std::vector<float> weights = {1, 0, 0, 0, 0, 1, 0, 0};
  ASSERT_TRUE(WriteSafetensors(models.File("tiny/1/model.safetensors"),
                               {{"0.weight", {2, 4}, weights}}, {})
                  .ok());
  const std::vector<float> after = {1, 2};
  EXPECT_NE(before, after);
  EXPECT_TRUE(Eventually([&] { return Outputs(client.Answered(request)) == after; }));
  EXPECT_TRUE(Eventually(is_a_hit));
  EXPECT_EQ(Outputs(client.Answered(request)), after);
}

// The last one: it leaves the router another configuration.
TEST_F(CacheTest, AnotherConfigurationOfTheRouterEndsWhatWasKept) {
  const InferRequest request = RequestTo("kept", {1, 1, 1, 1});
  alice().Answered(request);
  ASSERT_EQ(alice().Answered(request).Text("penstock_cache"), "hit");
  const size_t before = fake().calls();
  parts_->router->Reconfigure(absl::Substitute(kRouter, kServer, fake().address(), 0.75));
  parts_->router->Hangup();
  EXPECT_TRUE(
      Eventually([&] { return alice().Answered(request).Text("penstock_cache") == "miss"; }));
  EXPECT_GT(fake().calls(), before);
  EXPECT_TRUE(
      Eventually([&] { return alice().Answered(request).Text("penstock_cache") == "hit"; }));
}

}  // namespace
}  // namespace penstock
