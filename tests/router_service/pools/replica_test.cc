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

TEST_F(ReplicaTest, OthersCountWhereItReportsNothing) {
  replica_.AttemptStarted(now_);
  replica_.OthersReported(5, now_);
  EXPECT_EQ(View().in_flight, 6);
  EXPECT_EQ(replica_.Load(now_).in_flight, 6);
  EXPECT_EQ(replica_.AttemptStarted(now_), 6);
  EXPECT_EQ(replica_.in_flight(), 2u);  // this router's
  now_ += absl::Milliseconds(1001);
  EXPECT_EQ(View().in_flight, 2);
  EXPECT_EQ(replica_.Load(now_).in_flight, 2);
}

TEST_F(ReplicaTest, OthersAreNotCountedTwice) {
  replica_.OthersReported(5, now_);
  replica_.InFlightReported(4, now_);
  EXPECT_EQ(View().in_flight, 4);
  EXPECT_EQ(replica_.Load(now_).in_flight, 0);
  // The queue alone says what waits there, whosever it is.
  replica_.QueueReported(2, now_);
  EXPECT_EQ(replica_.Load(now_).queue_depth, 2);
  EXPECT_EQ(replica_.Load(now_).in_flight, 0);
  now_ += absl::Milliseconds(500);
  replica_.OthersReported(5, now_);
  now_ += absl::Milliseconds(501);
  EXPECT_EQ(View().in_flight, 5);  // the report is too old, what others told is not
}

TEST_F(ReplicaTest, AStreamOfLoadsIsKnownForASecond) {
  EXPECT_FALSE(replica_.streams_load(now_));
  replica_.InFlightReported(4, now_);
  EXPECT_FALSE(replica_.streams_load(now_));
  replica_.LoadStreamed(3, now_);
  EXPECT_EQ(View().in_flight, 3);
  now_ += absl::Seconds(1);
  EXPECT_TRUE(replica_.streams_load(now_));
  now_ += absl::Milliseconds(1);
  EXPECT_FALSE(replica_.streams_load(now_));
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
