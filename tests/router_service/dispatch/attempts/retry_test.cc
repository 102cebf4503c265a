#include "router_service/dispatch/attempts/retry.h"

#include <limits>

#include "gtest/gtest.h"

namespace penstock::router {
namespace {

RetryQuestion After(absl::Status status) {
  RetryQuestion question;
  question.status = std::move(status);
  question.untried_replicas = 1;
  question.energy_j = 2;
  question.request_joules_left = std::numeric_limits<double>::infinity();
  return question;
}

TEST(RetryTest, UnavailableIsAskedElsewhere) {
  EXPECT_EQ(DecideRetry(After(absl::UnavailableError("gone"))), RetryVerdict::kRetry);
}

TEST(RetryTest, ACancelThatNobodyAskedForIsAskedElsewhere) {
  EXPECT_EQ(DecideRetry(After(absl::CancelledError())), RetryVerdict::kRetry);
}

TEST(RetryTest, SilenceIsAskedElsewhere) {
  RetryQuestion question = After(absl::OkStatus());
  question.cause = RetryQuestion::Cause::kLost;
  EXPECT_EQ(DecideRetry(question), RetryVerdict::kRetry);
}

TEST(RetryTest, AnAnswerAndOtherErrorsAreFinal) {
  for (const absl::Status& status :
       {absl::OkStatus(), absl::InvalidArgumentError("shape"), absl::DeadlineExceededError(""),
        absl::InternalError(""), absl::ResourceExhaustedError("")}) {
    EXPECT_EQ(DecideRetry(After(status)), RetryVerdict::kNotRetryable) << status;
  }
}

TEST(RetryTest, OnceOnly) {
  RetryQuestion question = After(absl::UnavailableError(""));
  question.attempts = 2;
  EXPECT_EQ(DecideRetry(question), RetryVerdict::kAlreadyTried);
}

TEST(RetryTest, NeedsAnotherReplicaTimeAndJoules) {
  RetryQuestion question = After(absl::UnavailableError(""));
  question.untried_replicas = 0;
  EXPECT_EQ(DecideRetry(question), RetryVerdict::kNoReplica);
  question = After(absl::UnavailableError(""));
  question.time_left = absl::ZeroDuration();
  EXPECT_EQ(DecideRetry(question), RetryVerdict::kNoTime);
  question = After(absl::UnavailableError(""));
  question.request_joules_left = 1.5;
  EXPECT_EQ(DecideRetry(question), RetryVerdict::kNoJoules);
  question.request_joules_left = 2;
  EXPECT_EQ(DecideRetry(question), RetryVerdict::kRetry);
}

TEST(RetryTest, SilenceIsFourTimesTheNinetyNinthPercentile) {
  EXPECT_EQ(SilenceLimit(0.05, absl::InfiniteDuration()), absl::Milliseconds(200));
  EXPECT_EQ(SilenceLimit(0.05, absl::Seconds(2)), absl::Milliseconds(200));
}

TEST(RetryTest, SilenceIsHalfOfTheTimeLeftWhereThatIsEnoughForAnAnswer) {
  EXPECT_EQ(SilenceLimit(0.5, absl::Seconds(2)), absl::Seconds(1));
  EXPECT_EQ(SilenceLimit(1, absl::Seconds(2)), absl::Seconds(1));
  EXPECT_EQ(SilenceLimit(1.25, absl::Seconds(2)), absl::Seconds(5));
}

TEST(RetryTest, WithoutAPercentileSilenceIsHalfOfTheTimeLeft) {
  EXPECT_EQ(SilenceLimit(0, absl::Seconds(2)), absl::Seconds(1));
  EXPECT_EQ(SilenceLimit(0, absl::InfiniteDuration()), absl::InfiniteDuration());
}

}  // namespace
}  // namespace penstock::router
