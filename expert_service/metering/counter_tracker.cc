#include "expert_service/metering/counter_tracker.h"

namespace penstock::expert {

CounterTracker::Step CounterTracker::Update(const CounterReading& reading, absl::Time now) {
  Step step;
  if (!started_) {
    started_ = true;
    last_ = reading.microjoules;
    last_move_ = now;
    return step;
  }
  if (reading.microjoules == last_) {
    stalled_ = now - last_move_ > kStall;
    return step;
  }
  if (stalled_) {
    // What was used while it stood still was charged by the model.
    step.resumed = true;
  } else if (reading.microjoules > last_) {
    step.joules = static_cast<double>(reading.microjoules - last_) * 1e-6;
  } else {
    const uint64_t wrapped = reading.range_microjoules - last_ + reading.microjoules;
    // Readings are a fraction of a second apart and ranges last minutes: a step of half a range is
    // no wrap.
    if (reading.range_microjoules >= last_ && wrapped < reading.range_microjoules / 2) {
      step.joules = static_cast<double>(wrapped) * 1e-6;
    } else {
      step.reset = true;
    }
  }
  stalled_ = false;
  last_ = reading.microjoules;
  last_move_ = now;
  return step;
}

}  // namespace penstock::expert
