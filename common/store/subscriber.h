#pragma once

#include <string>
#include <thread>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/strings/string_view.h"
#include "common/mutex.h"

namespace penstock {

// One subscription's callbacks, which a store runs until they are closed, one at a time.
class Subscriber {
 public:
  Subscriber(std::string channel, absl::AnyInvocable<void()> on_live,
             absl::AnyInvocable<void(absl::string_view)> on_message)
      : channel_(std::move(channel)),
        on_live_(std::move(on_live)),
        on_message_(std::move(on_message)) {}

  const std::string& channel() const { return channel_; }

  // Never two at the same time: the caller sees to it.
  void Live() {
    if (!Enter()) return;
    if (on_live_) on_live_();
    Leave();
  }
  void Message(absl::string_view message) {
    if (!Enter()) return;
    if (on_message_) on_message_(message);
    Leave();
  }

  // After it no callback begins, and none runs unless it is the one that calls this.
  void Close() {
    MutexLock lock(mutex_);
    closed_ = true;
    while (running_ && runner_ != std::this_thread::get_id()) left_.Wait(mutex_);
  }

 private:
  bool Enter() {
    MutexLock lock(mutex_);
    if (closed_) return false;
    running_ = true;
    runner_ = std::this_thread::get_id();
    return true;
  }
  void Leave() {
    MutexLock lock(mutex_);
    running_ = false;
    left_.NotifyAll();
  }

  const std::string channel_;
  absl::AnyInvocable<void()> on_live_;
  absl::AnyInvocable<void(absl::string_view)> on_message_;
  Mutex mutex_;
  CondVar left_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  bool running_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread::id runner_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock
