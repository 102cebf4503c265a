#pragma once

#include <cmath>

#include "absl/time/time.h"

namespace penstock::expert {

// The share of the cores' time that was spent on executions, the recent second weighing most: an
// exponential average with time constant kTau of "cores busy / cores", a core for each worker. Not
// thread-safe.
class Utilization {
 public:
  static constexpr double kTauSeconds = 1;

  Utilization(int workers, absl::Time now) : workers_(workers), at_(now) {}

  // One worker was busy during [start, end], and helped for so long by idle cores.
  void AddBusy(absl::Time start, absl::Time end, absl::Duration helped = absl::ZeroDuration()) {
    Decay(end);
    const double seconds = absl::ToDoubleSeconds(end - start);
    if (seconds <= 0) return;
    const double age = absl::ToDoubleSeconds(at_ - end);
    const double cores = 1 + absl::ToDoubleSeconds(helped) / seconds;
    value_ +=
        cores * (1 - std::exp(-seconds / kTauSeconds)) * std::exp(-age / kTauSeconds) / workers_;
  }
  double At(absl::Time now) {
    Decay(now);
    return value_;
  }

 private:
  void Decay(absl::Time now) {
    if (now <= at_) return;
    value_ *= std::exp(-absl::ToDoubleSeconds(now - at_) / kTauSeconds);
    at_ = now;
  }

  const int workers_;
  absl::Time at_;
  double value_ = 0;
};

}  // namespace penstock::expert
