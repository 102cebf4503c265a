#pragma once

#include <optional>

#include "absl/time/time.h"
#include "common/time/clock.h"

namespace penstock::router {

// When to change who is awake, without thrashing: only if what the better set is worth while it is
// expected to stay is more than waking it costs, and not before the least dwell has passed. How
// long a set stays is an exponentially weighted mean of how long those before it stayed. As
// ConfigurationSwitcher, for sets that no table names beforehand. Not thread-safe.
class ResidentSwitch {
 public:
  struct Options {
    absl::Duration least_dwell = absl::Seconds(30);
    absl::Duration expected_dwell = absl::Seconds(60);  // of the first set
    double dwell_weight = 0.2;                          // of the newest duration
  };
  ResidentSwitch(const Options& options, const Clock& clock)
      : options_(options), clock_(clock), expected_(options.expected_dwell) {}

  // gain_per_s: quality units a second that the change is worth; cost: quality units that it takes.
  bool Pays(double gain_per_s, double cost) const;
  // Somebody was woken or put to sleep, now.
  void Changed();

 private:
  const Options options_;
  const Clock& clock_;
  absl::Duration expected_;
  std::optional<absl::Time> changed_at_;
};

}  // namespace penstock::router
