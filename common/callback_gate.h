#pragma once

#include "common/mutex.h"

namespace penstock {

// For callbacks that may come late, on any thread: each enters before it touches what its owner
// lent it, and after Close none does. Callbacks and owner share the gate. Thread-safe.
class CallbackGate {
 public:
  // Inside while it lives; false: the gate is closed, and there is nothing to be done.
  class Pass {
   public:
    explicit Pass(CallbackGate& gate) : gate_(gate), inside_(gate.Enter()) {}
    ~Pass() {
      if (inside_) gate_.Leave();
    }
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;
    explicit operator bool() const { return inside_; }

   private:
    CallbackGate& gate_;
    const bool inside_;
  };

  // Waits for those inside. Not from one of them.
  void Close() {
    MutexLock lock(mutex_);
    closed_ = true;
    while (inside_ > 0) left_.Wait(mutex_);
  }

 private:
  bool Enter() {
    MutexLock lock(mutex_);
    if (closed_) return false;
    ++inside_;
    return true;
  }
  void Leave() {
    MutexLock lock(mutex_);
    if (--inside_ == 0) left_.NotifyAll();
  }

  Mutex mutex_;
  CondVar left_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  int inside_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace penstock
