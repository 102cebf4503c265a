#pragma once

#include <cstdint>

#include "absl/time/time.h"
#include "expert_service/metering/energy_counter.h"

namespace penstock::expert {

// Turns the readings of one counter into joules since the last reading.
class CounterTracker {
 public:
  // A counter that has not moved for this long has stopped: hardware at work steps every few
  // milliseconds (RAPL) to tens of them (NVML).
  static constexpr absl::Duration kStall = absl::Seconds(5);

  struct Step {
    double joules = 0;
    bool reset = false;    // started anew: what was used meanwhile is not known
    bool resumed = false;  // moved again after a stall: the step's joules were left out
  };

  Step Update(const CounterReading& reading, absl::Time now);
  bool stalled() const { return stalled_; }

 private:
  bool started_ = false;
  bool stalled_ = false;
  uint64_t last_ = 0;
  absl::Time last_move_;
};

}  // namespace penstock::expert
