#include "router_service/pools/replica.h"

#include "gtest/gtest.h"
#include "tests/support/fake_infer_target.h"

namespace penstock::router {
namespace {

constexpr absl::Duration kAge = absl::Seconds(1);

class ReplicaTest : public testing::Test {
 protected:
  ReplicaView View() const { return replica_.View(now_, kAge); }

  FakeInferTarget target_;
  Replica replica_{target_};
  absl::Time now_ = absl::FromUnixSeconds(1'000'000);
};

TEST_F(ReplicaTest, CountsWhatItReportsAndWhatWasSentSince) {
  replica_.InFlightReported(4, now_);
  EXPECT_EQ(View().in_flight, 4);
  EXPECT_EQ(replica_.AttemptStarted(now_), 4);
  EXPECT_EQ(replica_.AttemptStarted(now_), 5);
  EXPECT_EQ(View().in_flight, 6);
  EXPECT_TRUE(View().asked);
}

TEST_F(ReplicaTest, NeverCountsFewerThanWereSentThere) {
  replica_.AttemptStarted(now_);
  replica_.AttemptStarted(now_);
  replica_.InFlightReported(0, now_);  // they are on their way
  EXPECT_EQ(View().in_flight, 2);
  replica_.AttemptEnded(true, false, absl::Milliseconds(5));
  EXPECT_EQ(View().in_flight, 1);
}

TEST_F(ReplicaTest, AReportIsForgottenAfterASecond) {
  replica_.InFlightReported(4, now_);
  now_ += absl::Milliseconds(1001);
  EXPECT_EQ(View().in_flight, 0);
}

TEST_F(ReplicaTest, ALatencyIsOfLateForItsAge) {
  EXPECT_EQ(View().latency_s, std::nullopt);
  EXPECT_EQ(View().last_latency_s, std::nullopt);
  replica_.Observe(0, absl::Milliseconds(5), now_);
  EXPECT_DOUBLE_EQ(*View().latency_s, 0.005);
  now_ += absl::Milliseconds(1001);
  EXPECT_EQ(View().latency_s, std::nullopt);
  EXPECT_DOUBLE_EQ(*View().last_latency_s, 0.005);
  EXPECT_EQ(View().heard, now_ - absl::Milliseconds(1001));
}

TEST_F(ReplicaTest, AnAttemptWithoutAnAnswerIsRememberedUntilThereIsOne) {
  replica_.AttemptStarted(now_);
  replica_.AttemptEnded(false, true, absl::Milliseconds(5));
  EXPECT_TRUE(View().unanswered);
  replica_.AttemptStarted(now_);
  replica_.AttemptEnded(true, false, absl::Milliseconds(5));
  EXPECT_FALSE(View().unanswered);
}

}  // namespace
}  // namespace penstock::router
