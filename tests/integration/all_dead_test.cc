// Every expert of a pool dies, or stands still: requests are told so at once, the router lives, and
// within two seconds of the experts' return they are answered again.

#include <algorithm>
#include <vector>

#include "absl/strings/substitute.h"
#include "absl/time/clock.h"
#include "common/net/infer_call.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/client.h"
#include "tests/integration/fake_expert.h"
#include "tests/integration/process.h"
#include "tests/integration/test_models.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace penstock {
namespace {

using testing::HasSubstr;

// Pools of the experts that it is given, $1 and $2: `pool` has them as two replicas of one expert,
// `two` as two experts.
constexpr char kRouter[] = R"(
server: {grpc: "127.0.0.1:0", metrics: "off", drain: {grace: 0s}}
trust_plaintext: true
pools:
- {name: pool, experts: [{name: tiny, replicas: [{address: "$0"}, {address: "$1"}]}]}
- name: two
  experts:
  - {name: one, model: tiny, replicas: [{address: "$0"}]}
  - {name: other, model: tiny, replicas: [{address: "$1"}]}
)";
// $0 its address, $1 the repository
constexpr char kExpert[] = R"(
server: {grpc: "$0", metrics: "off", threads: 1, drain: {grace: 0s}}
model_repository: $1
trust_plaintext: true
execution: {threads: 1, warm_up_runs: 1}
)";

constexpr absl::Duration kRecovery = absl::Seconds(2);
// What is refused without asking anybody takes far less; machines that test are busy.
constexpr absl::Duration kAtOnce = absl::Milliseconds(500);

class AllDeadTest : public testing::Test {
 protected:
  void SetUp() override {
    WriteTinyModel(folder_, "tiny");
    for (std::unique_ptr<Process>& expert : experts_) {
      expert = StartExpert("127.0.0.1:0");
      ASSERT_NE(expert, nullptr);
    }
    router_ = Process::Start("penstock-router",
                             absl::Substitute(kRouter, experts_[0]->grpc(), experts_[1]->grpc()));
    ASSERT_NE(router_, nullptr);
    client_ = std::make_unique<TestClient>(router_->grpc());
    ASSERT_TRUE(client_->WaitForExperts());
    // So that it is known how long they take.
    for (const char* pool : kPools) {
      for (int i = 0; i < 50; ++i) ASSERT_THAT(client_->Call(TinyRequest(pool)).status, IsOk());
    }
  }

  std::unique_ptr<Process> StartExpert(const std::string& address) {
    return Process::Start("penstock-expert", absl::Substitute(kExpert, address, folder_.path()));
  }

  absl::Status Ask(const char* pool, absl::Duration& took,
                   absl::Duration deadline = absl::Seconds(10)) {
    const absl::Time asked = absl::Now();
    const absl::Status status = client_->Send(TinyRequest(pool), asked + deadline)->Wait().status;
    took = absl::Now() - asked;
    return status;
  }

  // All that is asked until `until` is refused at once, and is told which pool has nobody.
  void ExpectRefusals(absl::Time until) {
    int refused = 0;
    absl::Duration longest;
    while (absl::Now() < until) {
      for (const char* pool : kPools) {
        absl::Duration took;
        EXPECT_THAT(Ask(pool, took), StatusIs(absl::StatusCode::kUnavailable,
                                              HasSubstr(absl::StrCat("pool ", pool))));
        longest = std::max(longest, took);
        ++refused;
      }
    }
    EXPECT_GT(refused, 20);
    EXPECT_LT(longest, kAtOnce);
    EXPECT_TRUE(router_->running());
  }

  // Polls until every pool answers; fails the test where that takes longer than it may.
  void ExpectRecovery(absl::Time returned, const char* of) {
    for (const char* pool : kPools) {
      absl::Duration took;
      EXPECT_TRUE(Eventually([&] { return Ask(pool, took).ok(); }, absl::Seconds(20)));
    }
    const absl::Duration recovery = absl::Now() - returned;
    RecordProperty(of, absl::StrCat(absl::ToInt64Milliseconds(recovery), " ms"));
    std::cout << of << ": " << recovery << "\n";
    EXPECT_LE(recovery, kRecovery);
    // And for good.
    for (const char* pool : kPools) {
      absl::Duration took;
      for (int i = 0; i < 50; ++i) EXPECT_THAT(Ask(pool, took), IsOk());
    }
  }

  static constexpr const char* kPools[] = {"pool", "two"};

  TempDir folder_;
  std::unique_ptr<Process> experts_[2];
  std::unique_ptr<Process> router_;
  std::unique_ptr<TestClient> client_;
};

TEST_F(AllDeadTest, KilledUnderLoadRequestsAreRefusedAtOnceUntilTheyReturn) {
  // What is in flight when they die: answered, or told that they did.
  std::vector<std::shared_ptr<Pending>> in_flight;
  const absl::Time deadline = absl::Now() + absl::Seconds(10);
  const auto load = [&] {
    for (int i = 0; i < 100; ++i) {
      in_flight.push_back(client_->Send(TinyRequest(kPools[i % 2], 8), deadline));
    }
  };
  load();
  const std::string addresses[] = {experts_[0]->grpc(), experts_[1]->grpc()};
  for (std::unique_ptr<Process>& expert : experts_) expert->Kill();
  load();
  for (const std::shared_ptr<Pending>& pending : in_flight) {
    const absl::Status& status = pending->Wait().status;
    EXPECT_TRUE(status.ok() || absl::IsUnavailable(status)) << status;
  }
  for (std::unique_ptr<Process>& expert : experts_) expert->Wait();

  // By now whoever waits before it tries again waits for as long as it ever does.
  ExpectRefusals(absl::Now() + absl::Seconds(5));

  for (size_t i = 0; i < 2; ++i) {
    experts_[i] = StartExpert(addresses[i]);
    ASSERT_NE(experts_[i], nullptr);
  }
  ExpectRecovery(absl::Now(), "recovery_after_a_kill");
}

TEST_F(AllDeadTest, StoppedTheirBreakersOpenAndTheyAreBackSoonAfterTheyGoOn) {
  for (std::unique_ptr<Process>& expert : experts_) expert->Pause();
  // Health says nothing of it: only requests that run out of time do.
  for (const char* pool : kPools) {
    EXPECT_TRUE(Eventually([&] {
      absl::Duration took;
      return absl::IsUnavailable(Ask(pool, took, absl::Milliseconds(100)));
    }));
  }
  ExpectRefusals(absl::Now() + absl::Seconds(3));
  for (std::unique_ptr<Process>& expert : experts_) expert->Resume();
  ExpectRecovery(absl::Now(), "recovery_after_a_stop");
}

// What a replica of somebody else's make says in its trailers gets through gRPC.
TEST(PushbackTest, AReplicaThatForbidsRetriesIsObeyed) {
  FakeExpert experts[2];
  std::unique_ptr<Process> router = Process::Start(
      "penstock-router", absl::Substitute(kRouter, experts[0].address(), experts[1].address()));
  ASSERT_NE(router, nullptr);
  TestClient client(router->grpc());
  ASSERT_TRUE(client.WaitForExperts());
  const auto calls = [&] { return experts[0].calls() + experts[1].calls(); };
  const auto answer = [&](Metadata trailers) {
    for (FakeExpert& expert : experts) {
      expert.Do(FakeExpert::AnswerWith(
          {.status = absl::UnavailableError("leave me"), .body = {}, .trailers = trailers}));
    }
  };
  answer({});
  EXPECT_THAT(client.Call(TinyRequest("pool")).status, StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(calls(), 2u);
  answer({{"grpc-retry-pushback-ms", "-1"}});
  EXPECT_THAT(client.Call(TinyRequest("pool")).status, StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(calls(), 3u);
}

}  // namespace
}  // namespace penstock
