// No room or no budget: RESOURCE_EXHAUSTED with retry-after-ms, through the gateway over a socket.

#include "absl/strings/substitute.h"
#include "tests/integration/bad_news_platform.h"
#include "tests/integration/test_models.h"

namespace penstock {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr char kServer[] = R"({grpc: "127.0.0.1:0", metrics: "off", drain: {grace: 0.2s}})";

class SpentTest : public BadNewsPlatform {
 protected:
  // Asks until it is refused; how often it was answered before. The windows of budgets are days,
  // which may end while the test runs.
  static int AnsweredBeforeRefusal(TestClient& client, const std::string& pool,
                                   InferReply& refusal) {
    int answered = 0;
    for (; answered < 10; ++answered) {
      refusal = client.Call(TinyRequest(pool));
      if (!refusal.status.ok()) break;
    }
    return answered;
  }
};

TEST_F(SpentTest, ATenantsHardBudget) {
  TestClient poor(gateway(), "poor-key");
  InferReply refusal;
  EXPECT_LE(AnsweredBeforeRefusal(poor, "plain", refusal), 4);
  EXPECT_THAT(refusal, IsExhausted(AllOf(HasSubstr("budget spent"), HasSubstr("poor"))));
  TestClient alice(gateway(), "alice-key");
  EXPECT_TRUE(alice.Call(TinyRequest("plain")).status.ok()) << "another tenant's budget";
}

TEST_F(SpentTest, APoolsHardBudget) {
  TestClient alice(gateway(), "alice-key");
  InferReply refusal;
  EXPECT_LE(AnsweredBeforeRefusal(alice, "capped", refusal), 4);
  EXPECT_THAT(refusal, IsExhausted(AllOf(HasSubstr("budget spent"), HasSubstr("capped"))));
  EXPECT_TRUE(alice.Call(TinyRequest("fake")).status.ok()) << "another pool's budget";
}

TEST_F(SpentTest, TheGatewaysQueueIsFull) {
  const auto small = StartGateway(
      parts_->router->grpc(),
      absl::Substitute("server: $0\nadmission: {max_in_flight: 1, max_queue: 1}\n", kServer));
  ASSERT_NE(small, nullptr);
  TestClient client(small->grpc());
  fake().Hold();
  const auto runs = client.Send(TinyRequest("fake"));
  ASSERT_TRUE(Eventually([&] { return fake().held() == 1; }));
  const auto next = client.Send(TinyRequest("fake"));
  const auto third = client.Send(TinyRequest("fake"));
  // One of the two waits and the other is refused.
  ASSERT_TRUE(Eventually([&] { return next->answered() || third->answered(); }));
  EXPECT_THAT((next->answered() ? next : third)->Wait(), IsExhausted(HasSubstr("queue is full")));
  EXPECT_EQ(fake().held(), 1);
  fake().Release();
  EXPECT_TRUE(runs->Wait().status.ok());
  EXPECT_NE(next->Wait().status.ok(), third->Wait().status.ok());
}

TEST_F(SpentTest, APoolRunsAsManyRequestsAsItMay) {
  TestClient alice(gateway(), "alice-key");
  fake().Hold();
  const auto runs = alice.Send(TinyRequest("narrow"));
  ASSERT_TRUE(Eventually([&] { return fake().held() == 1; }));
  EXPECT_THAT(alice.Call(TinyRequest("narrow")),
              IsExhausted(AllOf(HasSubstr("narrow"), HasSubstr("1 requests"))));
  fake().Release();
  EXPECT_TRUE(runs->Wait().status.ok());
}

TEST_F(SpentTest, AnExpertsQueueIsFull) {
  TestClient alice(gateway(), "alice-key");
  // One runs and three wait.
  std::vector<std::shared_ptr<Pending>> sent;
  for (int i = 0; i < 8; ++i) sent.push_back(alice.Send(TinyRequest("slow", kSlowRows)));
  int refused = 0;
  for (const auto& pending : sent) {
    if (pending->Wait().status.ok()) continue;
    ++refused;
    EXPECT_THAT(pending->Wait(), IsExhausted(AllOf(HasSubstr("slow"), HasSubstr("wait already"))));
  }
  EXPECT_GE(refused, 1);
  EXPECT_LE(refused, 5);
}

}  // namespace
}  // namespace penstock
