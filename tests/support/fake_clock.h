#pragma once

#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/time/clock.h"

namespace penstock {

// Stands still until told. Thread-safe.
class FakeClock final : public Clock {
 public:
  explicit FakeClock(absl::Time start = absl::FromUnixSeconds(1'000'000)) : now_(start) {}

  absl::Time Now() const override {
    MutexLock lock(mutex_);
    return now_;
  }
  void Advance(absl::Duration by) {
    MutexLock lock(mutex_);
    now_ += by;
  }
  // Earlier times change nothing: a clock never goes back.
  void AdvanceTo(absl::Time time) {
    MutexLock lock(mutex_);
    if (time > now_) now_ = time;
  }

 private:
  mutable Mutex mutex_;
  absl::Time now_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock
