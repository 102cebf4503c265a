// `penstock budget` over a gateway and two routers that share a redis-server, each a process.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/substitute.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/common/store/redis/redis_server.h"
#include "tests/integration/client.h"
#include "tests/integration/fake_expert.h"
#include "tests/integration/process.h"
#include "tests/support/temp_dir.h"

namespace penstock {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kServer[] =
    R"({grpc: "127.0.0.1:0", metrics: "off", drain: {grace: 0s, timeout: 20s}})";

// SHA-256 of alice-key, bob-key, admin-key.
constexpr char kKeys[] = R"(
keys:
  - {sha256: 72ee9d4355ccb9d3a4c9dbf37382e38e75c1b1a225b5bd1f729ee91bbda30c20, tenant: alice}
  - {sha256: 9b94dc1a51a38769f135edf04033ad7f2f487b6c25929be7a861cfc1ab10cf98, tenant: bob}
  - sha256: 69a5265506c94c77b787a7d7377b7685a0eff82e33920a71e7ee22cd6154953e
    tenant: root
    admin: true
)";

// $0 server, $1 the store, $2 the expert, $3 budgets of the pool
constexpr char kRouter[] = R"(
server: $0
trust_plaintext: true
learning: OFF
store: "$1"
pools:
  - name: pool
    budgets: [$3]
    experts:
      - {name: fake, joules_per_row: 2, dollars: {per_request: 0.004}, replicas: [{address: "$2"}]}
)";
constexpr char kConfigured[] = "{resource: REQUESTS, per: HOUR, amount: 50000, hard: true}";
constexpr char kReconfigured[] = "{resource: REQUESTS, per: HOUR, amount: 60000, hard: true}";

InferRequest Request() {
  InferRequest request;
  request.model_name = "pool";
  request.inputs.push_back(FloatTensor("x", {1, 4}, {1, 2, 3, 4}));
  return request;
}

class BudgetTest : public testing::Test {
 protected:
  struct Outcome {
    int exit_code = 0;
    std::string output;
  };

  std::string RouterConfig(const char* budgets = kConfigured) const {
    return absl::Substitute(kRouter, kServer,
                            redis_.unix_uri() + "?prefix=test:", expert_.address(), budgets);
  }
  std::unique_ptr<Process> StartRouter(const char* budgets = kConfigured) const {
    return Process::Start("penstock-router", RouterConfig(budgets));
  }
  void SetUp() override {
    one_ = StartRouter();
    two_ = StartRouter();
    ASSERT_TRUE(one_ != nullptr && two_ != nullptr);
    keys_ = folder_.Write("keys.yaml", kKeys);
    key_ = folder_.Write("admin.key", "admin-key\n");
    gateway_ = Process::Start(
        "penstock-gateway",
        absl::Substitute("server: $0\nrouters: [{address: \"$1\"}, {address: \"$2\"}]\n"
                         "identity: {api_keys_file: $3}\npage: {http: \"off\"}\n",
                         kServer, one_->grpc(), two_->grpc(), keys_));
    ASSERT_NE(gateway_, nullptr);
    for (const Process* router : {one_.get(), two_.get()}) {
      ASSERT_TRUE(TestClient(router->grpc()).WaitForExperts());
    }
  }

  static Outcome Budget(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {std::string(PENSTOCK_BIN_DIR) + "/penstock", "budget"});
    Outcome outcome;
    outcome.exit_code = RunCommand(arguments, outcome.output);
    return outcome;
  }
  std::vector<std::string> ByGateway(std::vector<std::string> arguments) const {
    arguments.insert(arguments.end(), {"--target", gateway_->grpc(), "--api_key_file", key_});
    return arguments;
  }
  static std::vector<std::string> AtRouter(const Process& router,
                                           std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--router", router.grpc()});
    return arguments;
  }
  static std::vector<std::string> Set(double amount) {
    return {"set",   "--pool", "pool",  "--resource", "requests", "--amount", absl::StrCat(amount),
            "--per", "hour",   "--hard"};
  }
  // "AMOUNT file" or "AMOUNT call" of the pool's requests an hour; empty: there is no such budget.
  static std::string At(const Process& router) {
    const Outcome got = Budget(AtRouter(router, {"get", "--pool", "pool", "--json"}));
    EXPECT_EQ(got.exit_code, 0) << got.output;
    const auto json = nlohmann::json::parse(got.output, nullptr, false);
    if (json.is_discarded() || json["budgets"].empty()) return "";
    const auto& status = json["budgets"][0];
    return absl::StrCat(status["budget"]["amount"].get<double>(),
                        status["set_by_call"].get<bool>() ? " call" : " file");
  }
  static bool Reaches(const Process& router, const std::string& what) {
    const bool reached = Eventually([&] { return At(router) == what; });
    EXPECT_TRUE(reached) << "wanted " << what << ", got " << At(router);
    return reached;
  }
  // "tenant requests modelled_joules dollars" of everything.
  static std::vector<std::string> Usage(std::vector<std::string> target) {
    target.insert(target.begin(), {"export", "--per", "total", "--from", "3h"});
    const Outcome got = Budget(std::move(target));
    EXPECT_EQ(got.exit_code, 0) << got.output;
    std::vector<std::string> rows;
    for (const absl::string_view line : absl::StrSplit(got.output, '\n', absl::SkipEmpty())) {
      const std::vector<std::string> cells = absl::StrSplit(line, ',');
      if (cells.size() != 10 || cells[0] == "start") continue;
      rows.push_back(absl::StrCat(cells[2], " ", cells[5], " ", cells[7], " ", cells[9]));
    }
    return rows;
  }

  RedisServer redis_;
  FakeExpert expert_;
  TempDir folder_;
  std::string keys_, key_;
  std::unique_ptr<Process> one_, two_, gateway_;
};

TEST_F(BudgetTest, WhatIsSetAtOneRouterHoldsAtAllAndThroughRestarts) {
  EXPECT_EQ(At(*one_), "50000 file");
  const Outcome set = Budget(AtRouter(*one_, Set(77)));
  EXPECT_EQ(set.exit_code, 0);
  EXPECT_THAT(set.output, HasSubstr("in the store: every router has it"));
  EXPECT_EQ(At(*one_), "77 call");
  EXPECT_TRUE(Reaches(*two_, "77 call"));

  two_->Kill();
  one_->Kill();
  const auto again = StartRouter();
  ASSERT_NE(again, nullptr);
  EXPECT_TRUE(Reaches(*again, "77 call"));

  // The configuration says something else: it wins, at once and after a restart.
  again->Reconfigure(RouterConfig(kReconfigured));
  again->Hangup();
  EXPECT_TRUE(Reaches(*again, "60000 file"));
  const auto changed = StartRouter(kReconfigured);
  ASSERT_NE(changed, nullptr);
  EXPECT_EQ(Budget(AtRouter(*changed, Set(88))).exit_code, 0);
  EXPECT_TRUE(Reaches(*again, "88 call"));
}

TEST_F(BudgetTest, TheGatewayNeedsTheAdminRightAndReachesAllRouters) {
  const std::string alice = folder_.Write("alice.key", "alice-key");
  for (std::vector<std::string> arguments : {Set(5), std::vector<std::string>{"export"}}) {
    arguments.insert(arguments.end(), {"--target", gateway_->grpc(), "--api_key_file", alice});
    const Outcome refused = Budget(arguments);
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_THAT(refused.output, AllOf(HasSubstr("PERMISSION_DENIED"), HasSubstr("admin")));
  }
  const Outcome set = Budget(ByGateway(Set(77)));
  EXPECT_EQ(set.exit_code, 0) << set.output;
  EXPECT_THAT(set.output, HasSubstr("in the store"));
  EXPECT_EQ(At(*one_), "77 call");
  EXPECT_EQ(At(*two_), "77 call");
  EXPECT_EQ(Budget(ByGateway(Set(0))).exit_code, 0);
  EXPECT_EQ(At(*one_), "");
  const Outcome table = Budget(ByGateway({"get"}));
  EXPECT_EQ(table.output, "no budget\n");
}

TEST_F(BudgetTest, UsageIsTheSumOverRoutersAndOutlivesThem) {
  TestClient at_one(one_->grpc()), at_two(two_->grpc());
  TestClient alice(gateway_->grpc(), "alice-key"), bob(gateway_->grpc(), "bob-key");
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(at_one.Call(Request()).status.ok());
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(at_two.Call(Request()).status.ok());
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(alice.Call(Request()).status.ok());
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(bob.Call(Request()).status.ok());
  const std::vector<std::string> all = {
      "alice 20 40.000000 0.080000", "anonymous 7 14.000000 0.028000", "bob 10 20.000000 0.040000"};
  const auto is_all = [&](const std::vector<std::string>& target) {
    return Eventually([&] { return Usage(target) == all; });
  };
  EXPECT_TRUE(is_all(ByGateway({}))) << absl::StrJoin(Usage(ByGateway({})), "\n");
  EXPECT_TRUE(is_all(AtRouter(*one_, {})));
  EXPECT_TRUE(is_all(AtRouter(*two_, {})));

  // A store that comes back empty is told again by those that live.
  redis_.Command({"FLUSHALL"});
  EXPECT_TRUE(is_all(AtRouter(*one_, {})));
  EXPECT_TRUE(is_all(AtRouter(*two_, {})));

  // One that drains tells the rest before it ends, and another reads it.
  ASSERT_TRUE(at_two.Call(Request()).status.ok());
  EXPECT_EQ(two_->Stop(), 0);
  EXPECT_THAT(Usage(AtRouter(*one_, {})), testing::Contains("anonymous 8 16.000000 0.032000"));
}

TEST_F(BudgetTest, WithoutTheStoreASettingHoldsAndIsSharedLater) {
  redis_.Kill();
  const Outcome set = Budget(AtRouter(*one_, Set(77)));
  EXPECT_EQ(set.exit_code, 0);
  EXPECT_THAT(set.output, HasSubstr("warning: the routers that were asked have it"));
  EXPECT_EQ(At(*one_), "77 call");
  EXPECT_EQ(At(*two_), "50000 file");
  const Outcome usage = Budget(AtRouter(*one_, {"export"}));
  EXPECT_EQ(usage.exit_code, 1);
  EXPECT_THAT(usage.output, AllOf(HasSubstr("error: UNAVAILABLE"), HasSubstr("store")));
  redis_.Start();
  EXPECT_TRUE(Reaches(*two_, "77 call"));
}

}  // namespace
}  // namespace penstock
