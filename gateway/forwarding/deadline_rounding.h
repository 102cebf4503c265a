#pragma once

#include <algorithm>

#include "absl/time/time.h"

namespace penstock::gateway {

// A gRPC client resets the stream at its own deadline, which is up to so much before the one that
// it stated: grpc-timeout is rounded up, to 1 ms below a second and to at most a hundredth beyond,
// and clocks are read in whole milliseconds. `allowed`: what was stated.
inline absl::Duration DeadlineRounding(absl::Duration allowed) {
  if (allowed == absl::InfiniteDuration()) return absl::ZeroDuration();
  return absl::Milliseconds(1) + std::max(absl::Milliseconds(1), allowed / 100);
}

}  // namespace penstock::gateway
