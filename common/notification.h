#pragma once

#include "common/mutex.h"

namespace penstock {

// An event that happens once.
class Notification {
 public:
  void Notify() {
    MutexLock lock(mutex_);
    notified_ = true;
    cv_.NotifyAll();
  }
  bool HasBeenNotified() const {
    MutexLock lock(mutex_);
    return notified_;
  }
  void Wait() const {
    MutexLock lock(mutex_);
    while (!notified_) cv_.Wait(mutex_);
  }
  // False when `timeout` passed first.
  bool WaitWithTimeout(absl::Duration timeout) const {
    const auto deadline = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(timeout);
    MutexLock lock(mutex_);
    while (!notified_) {
      const auto left = deadline - std::chrono::steady_clock::now();
      if (left <= std::chrono::nanoseconds::zero()) return false;
      cv_.WaitFor(mutex_, absl::FromChrono(left));
    }
    return true;
  }

 private:
  mutable Mutex mutex_;
  mutable CondVar cv_;
  bool notified_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace penstock
