#include "tests/integration/bad_news_platform.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
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
    pools: [plain]
  - sha256: 58d2f9d97bc1fe69939a6c081f22b9d1ee1663f4ac207206ba29a90f1ab69c43
    tenant: poor
)";

constexpr char kServer[] =
    R"({grpc: "127.0.0.1:0", metrics: "127.0.0.1:0", drain: {grace: 0.2s, timeout: 20s}})";

// $0 server, $1 expert service, $2 fake, $3 other
constexpr char kRouter[] = R"(
server: $0
trust_plaintext: true
learning: OFF
budgets: [{resource: REQUESTS, amount: 2, per: DAY, hard: true, tenant: poor}]
pools:
  - {name: plain, experts: [{name: tiny, replicas: [{address: "$1"}]}]}
  - {name: slow, experts: [{name: slow, replicas: [{address: "$1"}]}]}
  - name: fake
    resilience: {breaker: {off: true}}
    experts: [{name: fake, replicas: [{address: "$2"}], joules_per_row: 1, latency_ms: 50}]
  - {name: narrow, max_in_flight: 1, experts: [{name: fake, replicas: [{address: "$2"}]}]}
  - name: pair
    experts:
      - {name: fake, replicas: [{address: "$2"}], quality: 0.9}
      - {name: tiny, replicas: [{address: "$1"}], quality: 0.1}
  - {name: gone, experts: [{name: other, replicas: [{address: "$3"}]}]}
  - name: strict
    experts:
      - {name: cheap, replicas: [{address: "$2"}], joules_per_row: 1, latency_ms: 50}
      - {name: fast, replicas: [{address: "$2"}], joules_per_row: 10, latency_ms: 20}
  - name: lenient
    on_infeasible: DEGRADE
    experts:
      - {name: cheap, replicas: [{address: "$2"}], joules_per_row: 1, latency_ms: 50}
      - {name: fast, replicas: [{address: "$2"}], joules_per_row: 10, latency_ms: 20}
  - name: capped
    budgets: [{resource: JOULES, amount: 1.5, per: DAY, hard: true}]
    experts: [{name: fake, replicas: [{address: "$2"}], joules_per_row: 1}]
)";

}  // namespace

BadNewsPlatform::Parts* BadNewsPlatform::parts_ = nullptr;

std::unique_ptr<Process> BadNewsPlatform::StartGateway(const std::string& router,
                                                       const std::string& more) {
  return Process::Start("penstock-gateway",
                        absl::Substitute("page: {http: \"off\"}\nrouters: [{address: \"$0\"}]\n$1", router, more));
}

void BadNewsPlatform::SetUpTestSuite() {
  auto parts = std::make_unique<Parts>();
  WriteTinyModel(parts->folder, "tiny");
  WriteSlowModel(parts->folder, "slow", 3);
  parts->expert =
      Process::Start("penstock-expert",
                     absl::Substitute("server: $0\nmodel_repository: $1\ntrust_plaintext: true\n"
                                      "execution: {threads: 1, warm_up_runs: 1}\n",
                                      kServer, parts->folder.path()));
  if (parts->expert == nullptr) return;
  parts->router = Process::Start("penstock-router",
                                 absl::Substitute(kRouter, kServer, parts->expert->grpc(),
                                                  parts->fake.address(), parts->other.address()));
  if (parts->router == nullptr) return;
  parts->gateway = StartGateway(
      parts->router->grpc(),
      absl::Substitute(
          "server: {grpc: \"127.0.0.1:0\", metrics: \"127.0.0.1:0\", drain: {grace: 0.2s}, "
          "max_message_bytes: $0}\nidentity: {api_keys_file: $1}\n",
          kMaxMessageBytes, parts->folder.Write("keys.yaml", kKeys)));
  if (parts->gateway == nullptr) return;
  if (!TestClient(parts->gateway->grpc(), "alice-key").WaitForExperts()) return;
  parts_ = parts.release();
}

void BadNewsPlatform::TearDownTestSuite() {
  delete parts_;
  parts_ = nullptr;
}

void BadNewsPlatform::TearDown() {
  if (parts_ == nullptr) return;
  fake().Release();
  fake().Do(&FakeExpert::AnswerWell);
}

std::string Trailer(const InferReply& reply, const char* key) {
  return std::string(FindMetadata(reply.trailers, key));
}

void PrintTo(const InferReply& reply, std::ostream* out) {
  *out << reply.status << ", retry-after-ms \"" << Trailer(reply, "retry-after-ms") << "\"";
}

}  // namespace penstock
