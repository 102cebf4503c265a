#pragma once

#include "absl/time/time.h"
#include "common/time/clock.h"

namespace penstock::router {

// Time as events say it is. Not thread-safe.
class SimulatedClock final : public Clock {
 public:
  absl::Time Now() const override { return now_; }
  // Seconds since the run began; time that is over already changes nothing.
  void AdvanceTo(double seconds) {
    if (seconds <= seconds_) return;
    seconds_ = seconds;
    now_ = absl::UnixEpoch() + absl::Seconds(seconds);
  }
  double seconds() const { return seconds_; }

 private:
  double seconds_ = 0;
  absl::Time now_ = absl::UnixEpoch();
};

}  // namespace penstock::router
