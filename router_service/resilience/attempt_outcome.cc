#include "router_service/resilience/attempt_outcome.h"

namespace penstock::router {
namespace {

// A deadline is told in whole milliseconds, and timers of two machines do not agree to the last
// one.
constexpr absl::Duration kDeadlineSlack = absl::Milliseconds(2);

bool WasSilentTooLong(const AttemptEnd& end) {
  const bool ran_out = end.lasted + kDeadlineSlack >= end.granted;
  const bool hopeless = end.expected <= absl::ZeroDuration() || end.granted < end.expected;
  return ran_out && !hopeless;
}

}  // namespace

AttemptOutcome JudgeAttempt(const AttemptEnd& end) {
  switch (end.status.code()) {
    case absl::StatusCode::kOk:
      return AttemptOutcome::kSuccess;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kDataLoss:
      return AttemptOutcome::kFailure;
    case absl::StatusCode::kCancelled:  // a server that leaves under load says so too
      return end.cancelled_by_us ? AttemptOutcome::kNothing : AttemptOutcome::kFailure;
    case absl::StatusCode::kDeadlineExceeded:
      if (!WasSilentTooLong(end)) return AttemptOutcome::kNothing;
      return end.answered_another ? AttemptOutcome::kLate : AttemptOutcome::kFailure;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kResourceExhausted:
      return AttemptOutcome::kNothing;
    default:  // the enumeration has an open member; FromGrpcStatus makes UNKNOWN of others
      return AttemptOutcome::kFailure;
  }
}

}  // namespace penstock::router
