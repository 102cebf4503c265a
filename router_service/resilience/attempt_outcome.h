#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace penstock::router {

// What an attempt says of the replica that it was made at.
enum class AttemptOutcome : uint8_t {
  kSuccess,
  kFailure,
  kLate,     // no answer in time, but others were answered meanwhile: slow, or asked for too much
  kNothing,  // the caller's doing, ours, or overload
};

struct AttemptEnd {
  // As the replica, its channel or our own check of its answer had it.
  absl::Status status;
  bool cancelled_by_us = false;
  absl::Duration lasted;
  absl::Duration granted = absl::InfiniteDuration();  // from its start to its deadline
  // How long it was expected to take at most, with the load that there was; zero: not known.
  absl::Duration expected;
  // The replica has answered another attempt since this one began.
  bool answered_another = false;
};

// Failures are what another replica would not have done: a broken connection, a broken server, an
// answer that nobody can use, and silence, to whomever, past a deadline that was no hopeless one
// from the start. A replica that says early that it cannot be in time refuses work; it is not
// broken.
AttemptOutcome JudgeAttempt(const AttemptEnd& end);

}  // namespace penstock::router
