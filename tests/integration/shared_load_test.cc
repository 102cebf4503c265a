// Two routers of one store, and replicas that tell nothing of their load: each router knows what
// the other has in flight there.

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/substitute.h"
#include "cli/client/metrics_scrape.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/common/store/redis/redis_server.h"
#include "tests/integration/client.h"
#include "tests/integration/fake_expert.h"
#include "tests/integration/process.h"

namespace penstock {
namespace {

// $0 the store, $1 replicas. Nothing is known of latencies: who has fewer in flight is asked.
constexpr char kRouter[] = R"(
server: {grpc: "127.0.0.1:0", metrics: "127.0.0.1:0", drain: {grace: 0s, timeout: 20s}}
trust_plaintext: true
learning: OFF
store: "$0"
pools:
  - name: pool
    replica_choice: {rule: POWER_OF_TWO_CHOICES}
    experts: [{name: fake, replicas: [$1], joules_per_row: 2}]
)";

// $0 the store, $1 and $2 an address, $3 and $4 how good its expert is believed to be.
constexpr char kTwoExperts[] = R"(
server: {grpc: "127.0.0.1:0", metrics: "127.0.0.1:0", drain: {grace: 0s, timeout: 20s}}
trust_plaintext: true
learning: OFF
store: "$0"
pools:
  - name: pool
    experts:
      - {name: a, replicas: [{address: "$1"}], joules_per_row: 2, quality: $3}
      - {name: b, replicas: [{address: "$2"}], joules_per_row: 2, quality: $4}
)";

class SharedLoadTest : public testing::Test {
 protected:
  static std::string At(const FakeExpert& expert) {
    return absl::Substitute("{address: \"$0\"}", expert.address());
  }
  std::unique_ptr<Process> StartRouter(const std::string& replicas) const {
    return Process::Start("penstock-router",
                          absl::Substitute(kRouter, redis_.unix_uri(), replicas));
  }
  static double Metric(const Process& process, const std::string& name) {
    const auto text = cli::ScrapeMetrics(process.metrics());
    return text.ok() ? cli::SumOfMetric(*text, name) : -1;
  }
  static double OthersInFlight(const Process& router) {
    return Metric(router, "penstock_router_others_in_flight_requests");
  }
  static std::shared_ptr<Pending> Send(TestClient& client) {
    InferRequest request;
    request.model_name = "pool";
    request.inputs.push_back(FloatTensor("x", {1, 4}, {1, 2, 3, 4}));
    return client.Send(request);
  }

  const RedisServer redis_;
  FakeExpert busy_, idle_;
};

TEST_F(SharedLoadTest, ARouterGoesWhereTheOthersAreNot) {
  const auto one = StartRouter(At(busy_));
  const auto both = StartRouter(At(busy_) + ", " + At(idle_));
  ASSERT_TRUE(one != nullptr && both != nullptr);
  TestClient to_one(one->grpc()), to_both(both->grpc());
  ASSERT_TRUE(to_one.WaitForExperts() && to_both.WaitForExperts());
  ASSERT_TRUE(Eventually([&] { return Metric(*both, "penstock_store_connected") == 1; }));
  busy_.Hold();
  idle_.Hold();

  std::vector<std::shared_ptr<Pending>> pending;
  for (int i = 0; i < 12; ++i) pending.push_back(Send(to_one));
  ASSERT_TRUE(Eventually([&] { return busy_.held() == 12; }));
  ASSERT_TRUE(Eventually([&] { return OthersInFlight(*both) == 12; }));
  EXPECT_EQ(Metric(*both, "penstock_router_other_routers"), 1);
  for (int i = 0; i < 10; ++i) pending.push_back(Send(to_both));
  ASSERT_TRUE(Eventually([&] { return idle_.held() + busy_.held() == 22; }));
  EXPECT_EQ(idle_.held(), 10u);
  ASSERT_TRUE(Eventually([&] { return OthersInFlight(*one) == 10; }));

  // A router that dies has nothing in flight any more.
  one->Kill();
  ASSERT_TRUE(Eventually([&] { return OthersInFlight(*both) == 0; }));
  pending.push_back(Send(to_both));
  ASSERT_TRUE(Eventually([&] { return busy_.held() == 13; }));
  busy_.Release();
  idle_.Release();
  for (size_t i = 12; i < pending.size(); ++i) EXPECT_TRUE(pending[i]->Wait().status.ok()) << i;
}

// Each router asks an expert of its own; of all requests half go to either.
TEST_F(SharedLoadTest, ChoicesAreCountedOverAllRouters) {
  const auto start = [&](double of_a, double of_b) {
    return Process::Start("penstock-router",
                          absl::Substitute(kTwoExperts, redis_.unix_uri(), busy_.address(),
                                           idle_.address(), of_a, of_b));
  };
  const auto for_a = start(0.9, 0.1), for_b = start(0.1, 0.9);
  ASSERT_TRUE(for_a != nullptr && for_b != nullptr);
  TestClient to_a(for_a->grpc()), to_b(for_b->grpc());
  ASSERT_TRUE(to_a.WaitForExperts() && to_b.WaitForExperts());
  const auto share_of_a = [&](const Process& router) {
    const auto text = cli::ScrapeMetrics(router.metrics());
    if (!text.ok()) return -1.0;
    constexpr char kShare[] = "penstock_router_expert_choice_share{expert=\"a\",pool=\"pool\"} ";
    const size_t at = text->find(kShare);
    return at == std::string::npos ? -1
                                   : std::strtod(text->c_str() + at + sizeof(kShare) - 1, nullptr);
  };
  const auto even = [](double share) { return share > 0.3 && share < 0.7; };
  EXPECT_TRUE(Eventually(
      [&] {
        EXPECT_TRUE(Send(to_a)->Wait().status.ok());
        EXPECT_TRUE(Send(to_b)->Wait().status.ok());
        return even(share_of_a(*for_a)) && even(share_of_a(*for_b));
      },
      absl::Seconds(40)));
  EXPECT_EQ(Metric(*for_a, "penstock_router_dispatches_total"), busy_.calls());
  EXPECT_EQ(Metric(*for_b, "penstock_router_dispatches_total"), idle_.calls());
}

}  // namespace
}  // namespace penstock
