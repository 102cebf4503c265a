// Connections that have an age end all the time, and nobody notices; a network that falls silent is
// noticed, and requests go elsewhere.

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "cli/load/load_generator.h"
#include "common/time/clock.h"
#include "common/time/timers.h"
#include "gateway/forwarding/forwarder.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/integration/client.h"
#include "tests/integration/process.h"
#include "tests/integration/test_models.h"
#include "tests/support/tcp_proxy.h"
#include "tests/support/temp_dir.h"

namespace penstock {
namespace {

// $0: what is said of connections
constexpr char kServer[] =
    R"({grpc: "127.0.0.1:0", metrics: "off", threads: 1, drain: {grace: 0s}, connections: $0})";

class ConnectionsTest : public testing::Test {
 protected:
  void SetUp() override { WriteTinyModel(folder_, "tiny"); }

  std::unique_ptr<Process> StartExpert() {
    return Process::Start("penstock-expert",
                          absl::Substitute("server: $0\nmodel_repository: $1\n"
                                           "trust_plaintext: true\n"
                                           "execution: {threads: 1, warm_up_runs: 1}\n",
                                           Server(), folder_.path()));
  }
  std::unique_ptr<Process> StartRouter(const std::string& replicas) {
    return Process::Start(
        "penstock-router",
        absl::Substitute("server: $0\ntrust_plaintext: true\n"
                         "pools: [{name: pool, experts: [{name: tiny, replicas: [$1]}]}]\n",
                         Server(), replicas));
  }
  std::unique_ptr<Process> StartGateway(const std::string& routers) {
    return Process::Start("penstock-gateway",
                          absl::Substitute("server: $0\nrouters: [$1]\npage: {http: \"off\"}\n",
                                           Server(), routers));
  }
  std::string Server() const { return absl::Substitute(kServer, connections_); }

  TempDir folder_;
  std::string connections_ = "{}";
};

std::string At(const std::string& address, const std::string& more = "") {
  return absl::StrCat("{address: \"", address, "\"", more, "}");
}

// Nobody else to ask: it counts nothing.
class NoRetries final : public gateway::Forwarder::Observer {
 public:
  void Retried(absl::string_view) override {}
};

// Requests of four callers, one after the other, in a thread of their own.
class Load {
 public:
  explicit Load(TestClient& client)
      : timers_(clock_),
        forwarder_({&client.target()}, clock_, timers_, retries_),
        thread_([this] { Run(); }) {}
  ~Load() { Stop(); }
  void Stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  uint64_t answered() const { return answered_; }
  // After Stop.
  const std::map<std::string, uint64_t>& errors() const { return errors_; }

 private:
  void Run() {
    cli::LoadPlan plan;
    plan.pool = "pool";
    plan.requests = {EncodeInferRequest(TinyRequest("pool")).Flattened()};
    plan.outstanding = 4;
    plan.count = 40;
    plan.timeout = absl::Seconds(30);
    while (!stop_) {
      const cli::LoadResult result =
          cli::LoadGenerator(forwarder_, clock_).Run(plan, [](double) {});
      answered_ += result.answered;
      for (const auto& [code, count] : result.errors) errors_[code] += count;
    }
  }

  const RealClock clock_;
  ThreadTimers timers_;
  NoRetries retries_;
  gateway::Forwarder forwarder_;
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> answered_{0};
  std::map<std::string, uint64_t> errors_;
  std::thread thread_;
};

TEST_F(ConnectionsTest, NoRequestFailsWhereEveryConnectionIsHalfASecondOld) {
  connections_ = "{max_age: 0.5s, max_age_grace: 0.5s}";
  const auto expert = StartExpert();
  ASSERT_NE(expert, nullptr);
  TcpProxy to_expert(expert->grpc());
  const auto router = StartRouter(At(to_expert.address()));
  ASSERT_NE(router, nullptr);
  ASSERT_TRUE(TestClient(router->grpc()).WaitForExperts());
  TcpProxy to_router(router->grpc());
  const auto gateway = StartGateway(At(to_router.address()));
  ASSERT_NE(gateway, nullptr);
  TcpProxy to_gateway(gateway->grpc());

  std::string output;
  ASSERT_EQ(RunCommand({PENSTOCK_BIN_DIR "/penstock", "load", "--target", to_gateway.address(),
                        "--pool", "pool", "--input", "x=[[0.1,0.2,0.3,0.4]]", "--rate", "200",
                        "--duration_s", "6", "--timeout_s", "20", "--json"},
                       output),
            0)
      << output;
  const auto result = nlohmann::json::parse(output.substr(output.find('{')));
  EXPECT_TRUE(result["errors"].empty()) << output;
  for (const TcpProxy* hop : {&to_gateway, &to_router, &to_expert}) {
    EXPECT_GE(hop->goaways(), 5);
    EXPECT_GE(hop->closed(), 5);
  }
}

TEST_F(ConnectionsTest, ARouterThatFallsSilentIsFoundAndRequestsGoToTheOther) {
  const auto expert = StartExpert();
  ASSERT_NE(expert, nullptr);
  std::unique_ptr<Process> routers[2];
  std::unique_ptr<TcpProxy> ways[2];
  std::string listed;
  for (int i = 0; i < 2; ++i) {
    routers[i] = StartRouter(At(expert->grpc()));
    ASSERT_NE(routers[i], nullptr);
    ASSERT_TRUE(TestClient(routers[i]->grpc()).WaitForExperts());
    ways[i] = std::make_unique<TcpProxy>(routers[i]->grpc());
    absl::StrAppend(&listed, i == 0 ? "" : ", ",
                    At(ways[i]->address(), ", keepalive_time: 1s, keepalive_timeout: 0.3s"));
  }
  const auto gateway = StartGateway(listed);
  ASSERT_NE(gateway, nullptr);
  TestClient client(gateway->grpc());
  ASSERT_TRUE(Eventually([&] { return client.Call(TinyRequest("pool")).status.ok(); }));
  Load load(client);
  ASSERT_TRUE(Eventually([&] { return load.answered() >= 200; }));

  ways[0]->FallSilent();
  const uint64_t before = load.answered();
  EXPECT_TRUE(Eventually([&] { return ways[0]->left() >= 1; }));
  EXPECT_TRUE(Eventually([&] { return load.answered() >= before + 200; }));
  // That the gateway left is passed on once anything is.
  ways[0]->Resume();
  EXPECT_TRUE(Eventually([&] { return ways[0]->closed() >= 1 && ways[0]->taken() >= 2; }));
  load.Stop();
  EXPECT_TRUE(load.errors().empty())
      << load.errors().begin()->first << " " << load.errors().begin()->second;
}

TEST_F(ConnectionsTest, AReplicaThatFallsSilentIsFoundAndRequestsGoToTheOther) {
  std::unique_ptr<Process> experts[2];
  std::unique_ptr<TcpProxy> ways[2];
  std::string replicas;
  for (int i = 0; i < 2; ++i) {
    experts[i] = StartExpert();
    ASSERT_NE(experts[i], nullptr);
    ways[i] = std::make_unique<TcpProxy>(experts[i]->grpc());
    absl::StrAppend(&replicas, i == 0 ? "" : ", ",
                    At(ways[i]->address(), ", keepalive_time: 1s, keepalive_timeout: 0.3s"));
  }
  const auto router = StartRouter(replicas);
  ASSERT_NE(router, nullptr);
  TestClient client(router->grpc());
  ASSERT_TRUE(client.WaitForExperts());
  const auto healthy = [&] {
    grpc::ClientContext context;
    client.pool_client().Prepare(context, absl::Seconds(5));
    v1::ListExpertsResponse response;
    int count = 0;
    if (!client.pool_client().routing().ListExperts(&context, {}, &response).ok()) return -1;
    for (const v1::ReplicaStatus& replica : response.experts(0).replicas()) {
      count += replica.healthy() ? 1 : 0;
    }
    return count;
  };
  Load load(client);
  ASSERT_TRUE(Eventually([&] { return load.answered() >= 200; }));

  ways[1]->FallSilent();
  const absl::Time silent = absl::Now();
  EXPECT_TRUE(Eventually([&] { return healthy() == 1; }));
  // A second, the time-out, half a second of doubt, and what a busy machine adds.
  EXPECT_LE(absl::Now() - silent, absl::Seconds(6));
  const uint64_t before = load.answered();
  EXPECT_TRUE(Eventually([&] { return load.answered() >= before + 200; }));
  ways[1]->Resume();
  EXPECT_TRUE(Eventually([&] { return healthy() == 2; }));
  load.Stop();
  EXPECT_TRUE(load.errors().empty())
      << load.errors().begin()->first << " " << load.errors().begin()->second;
}

}  // namespace
}  // namespace penstock
