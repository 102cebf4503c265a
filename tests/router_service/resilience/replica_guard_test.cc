#include "router_service/resilience/replica_guard.h"

#include "gtest/gtest.h"

namespace penstock::router {
namespace {

class ReplicaGuardTest : public testing::Test {
 protected:
  void Answer(absl::Time started) {
    AttemptEnd end;
    end.lasted = now_ - started;
    guard_.AttemptEnded(end, started, now_);
  }
  // True: that opened the breaker.
  bool TimeOut(absl::Time started) {
    AttemptEnd end;
    end.status = absl::DeadlineExceededError("deadline");
    end.lasted = end.granted = now_ - started;
    end.expected = absl::Milliseconds(1);
    return guard_.AttemptEnded(end, started, now_);
  }

  absl::Time now_ = absl::FromUnixSeconds(1'000'000);
  ReplicaGuard guard_;
};

TEST_F(ReplicaGuardTest, SilenceToAllOpensTheBreaker) {
  bool opened = false;
  for (int i = 0; i < 5; ++i) {
    const absl::Time started = now_;
    now_ += absl::Milliseconds(500);
    opened = TimeOut(started);
  }
  EXPECT_TRUE(opened);
  EXPECT_FALSE(guard_.admits());
}

TEST_F(ReplicaGuardTest, WhoIsAskedForTooMuchAndAnswersSomeKeepsItsRequests) {
  for (int i = 0; i < 200; ++i) {
    const absl::Time started = now_;
    now_ += absl::Milliseconds(250);
    Answer(started);
    now_ += absl::Milliseconds(250);
    for (int late = 0; late < 9; ++late) ASSERT_FALSE(TimeOut(started));
  }
  EXPECT_TRUE(guard_.admits());
  // Ejection, which compares replicas, sees it.
  EXPECT_NEAR(guard_.Candidate(now_).recent.success_rate(), 0.1, 0.01);
}

TEST_F(ReplicaGuardTest, AnAnswerFromBeforeTheAttemptExcusesNothing) {
  Answer(now_ - absl::Milliseconds(1));
  const absl::Time started = now_;
  now_ += absl::Milliseconds(500);
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(TimeOut(started));
  EXPECT_TRUE(TimeOut(started));
}

}  // namespace
}  // namespace penstock::router
