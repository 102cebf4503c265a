#include "router_service/resilience/attempt_outcome.h"

#include <map>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

using absl::StatusCode;

AttemptEnd End(StatusCode code, bool cancelled_by_us = false) {
  AttemptEnd end;
  end.status = absl::Status(code, "told");
  end.cancelled_by_us = cancelled_by_us;
  end.lasted = absl::Milliseconds(10);
  end.granted = absl::Seconds(1);
  end.expected = absl::Milliseconds(100);
  return end;
}

// Every code that there is, and whoever brought it about.
TEST(AttemptOutcomeTest, EveryCodeSaysWhatItSaysOfTheReplica) {
  const std::map<StatusCode, AttemptOutcome> from_elsewhere = {
      {StatusCode::kOk, AttemptOutcome::kSuccess},
      {StatusCode::kCancelled, AttemptOutcome::kFailure},
      {StatusCode::kUnknown, AttemptOutcome::kFailure},
      {StatusCode::kInvalidArgument, AttemptOutcome::kNothing},
      {StatusCode::kDeadlineExceeded, AttemptOutcome::kNothing},  // told early: a refusal
      {StatusCode::kNotFound, AttemptOutcome::kNothing},
      {StatusCode::kAlreadyExists, AttemptOutcome::kNothing},
      {StatusCode::kPermissionDenied, AttemptOutcome::kNothing},
      {StatusCode::kResourceExhausted, AttemptOutcome::kNothing},
      {StatusCode::kFailedPrecondition, AttemptOutcome::kNothing},
      {StatusCode::kAborted, AttemptOutcome::kNothing},
      {StatusCode::kOutOfRange, AttemptOutcome::kNothing},
      {StatusCode::kUnimplemented, AttemptOutcome::kNothing},
      {StatusCode::kInternal, AttemptOutcome::kFailure},
      {StatusCode::kUnavailable, AttemptOutcome::kFailure},
      {StatusCode::kDataLoss, AttemptOutcome::kFailure},
      {StatusCode::kUnauthenticated, AttemptOutcome::kNothing},
  };
  ASSERT_EQ(from_elsewhere.size(), 17u);  // codes of gRPC
  for (const auto& [code, outcome] : from_elsewhere) {
    EXPECT_EQ(JudgeAttempt(End(code)), outcome) << absl::StatusCodeToString(code);
  }
  EXPECT_EQ(JudgeAttempt(End(StatusCode::kCancelled, true)), AttemptOutcome::kNothing);
}

TEST(AttemptOutcomeTest, SilencePastADeadlineThatCouldBeMetIsAFailure) {
  AttemptEnd end = End(StatusCode::kDeadlineExceeded);
  end.lasted = end.granted;
  EXPECT_EQ(JudgeAttempt(end), AttemptOutcome::kFailure);
  end.cancelled_by_us = true;  // for the deadline
  EXPECT_EQ(JudgeAttempt(end), AttemptOutcome::kFailure);
  end.lasted = end.granted - absl::Milliseconds(1);  // clocks differ by as much
  EXPECT_EQ(JudgeAttempt(end), AttemptOutcome::kFailure);
  end.lasted = end.granted - absl::Milliseconds(3);
  EXPECT_EQ(JudgeAttempt(end), AttemptOutcome::kNothing);
}

TEST(AttemptOutcomeTest, WhoAnswersOthersMeanwhileIsLate) {
  AttemptEnd end = End(StatusCode::kDeadlineExceeded);
  end.lasted = end.granted;
  end.answered_another = true;
  EXPECT_EQ(JudgeAttempt(end), AttemptOutcome::kLate);
  end.expected = end.granted + absl::Milliseconds(1);
  EXPECT_EQ(JudgeAttempt(end), AttemptOutcome::kNothing);
  end = End(StatusCode::kUnavailable);
  end.answered_another = true;
  EXPECT_EQ(JudgeAttempt(end), AttemptOutcome::kFailure);
}

TEST(AttemptOutcomeTest, AHopelessDeadlineSaysNothing) {
  AttemptEnd end = End(StatusCode::kDeadlineExceeded);
  end.granted = end.lasted = absl::Milliseconds(99);  // 100 were expected
  EXPECT_EQ(JudgeAttempt(end), AttemptOutcome::kNothing);
  end.granted = end.lasted = absl::Milliseconds(100);
  EXPECT_EQ(JudgeAttempt(end), AttemptOutcome::kFailure);
}

TEST(AttemptOutcomeTest, WhereNothingIsKnownOfItsTimesADeadlineSaysNothing) {
  AttemptEnd end = End(StatusCode::kDeadlineExceeded);
  end.lasted = end.granted;
  end.expected = absl::ZeroDuration();
  EXPECT_EQ(JudgeAttempt(end), AttemptOutcome::kNothing);
}

}  // namespace
}  // namespace penstock::router
