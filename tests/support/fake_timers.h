#pragma once

#include <map>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/time/timers.h"
#include "tests/support/fake_clock.h"

namespace penstock {

// Timers that run only inside RunDue and AdvanceAndRun, on the caller's thread, without a lock
// held.
class FakeTimers final : public Timers {
 public:
  explicit FakeTimers(FakeClock& clock) : clock_(clock) {}

  Id Schedule(absl::Time at, absl::AnyInvocable<void()> callback) override {
    MutexLock lock(mutex_);
    const Id id = next_id_++;
    due_.emplace(std::pair(at, id), std::move(callback));
    return id;
  }

  bool Cancel(Id id) override {
    absl::AnyInvocable<void()> dropped;  // destroyed outside the lock
    MutexLock lock(mutex_);
    for (auto it = due_.begin(); it != due_.end(); ++it) {
      if (it->first.second != id) continue;
      dropped = std::move(it->second);
      due_.erase(it);
      return true;
    }
    return false;
  }

  // Runs what is due by the clock, in order of time, then of scheduling; what these schedule too,
  // if due. Returns how many ran.
  int RunDue() {
    int ran = 0;
    for (;;) {
      absl::AnyInvocable<void()> callback;
      {
        MutexLock lock(mutex_);
        if (due_.empty() || due_.begin()->first.first > clock_.Now()) return ran;
        callback = std::move(due_.begin()->second);
        due_.erase(due_.begin());
      }
      callback();
      ++ran;
    }
  }

  // Moves the clock from one due time to the next, so that every callback sees its own time.
  int AdvanceAndRun(absl::Duration by) {
    const absl::Time end = clock_.Now() + by;
    int ran = RunDue();
    while (NextDue() <= end) {
      clock_.AdvanceTo(NextDue());
      ran += RunDue();
    }
    clock_.AdvanceTo(end);
    return ran;
  }

  // absl::InfiniteFuture(): nothing is scheduled.
  absl::Time NextDue() const {
    MutexLock lock(mutex_);
    return due_.empty() ? absl::InfiniteFuture() : due_.begin()->first.first;
  }
  size_t scheduled() const {
    MutexLock lock(mutex_);
    return due_.size();
  }

 private:
  FakeClock& clock_;
  mutable Mutex mutex_;
  Id next_id_ ABSL_GUARDED_BY(mutex_) = 1;
  std::map<std::pair<absl::Time, Id>, absl::AnyInvocable<void()>> due_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock
