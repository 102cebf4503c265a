#pragma once

#include <memory>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "common/mutex.h"

struct event;
struct event_base;

namespace penstock {

// One thread over libevent. What runs on it must not block.
class EventLoop {
 public:
  EventLoop();
  // Runs what was posted before, then ends the thread. Nothing of libevent that uses the loop may
  // be left by then.
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Thread-safe: `task` runs on the loop's thread, in order. Never runs it here.
  void Post(absl::AnyInvocable<void()> task);
  // Posts and waits; only from other threads.
  void Run(absl::AnyInvocable<void()> task);
  bool InLoop() const { return std::this_thread::get_id() == thread_.get_id(); }

  event_base* base() const { return base_.get(); }

 private:
  struct FreeBase {
    void operator()(event_base* base) const;
  };
  struct FreeEvent {
    void operator()(event* event) const;
  };

  void Wake();
  void RunTasks();

  const std::unique_ptr<event_base, FreeBase> base_;
  const int wake_fd_;
  std::unique_ptr<event, FreeEvent> wake_event_;
  bool stopped_ = false;  // on the loop
  Mutex mutex_;
  std::vector<absl::AnyInvocable<void()>> tasks_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

// A timer on a loop; made, used and destroyed on its thread.
class LoopTimer {
 public:
  LoopTimer(EventLoop& loop, absl::AnyInvocable<void()> callback);
  ~LoopTimer();
  LoopTimer(const LoopTimer&) = delete;
  LoopTimer& operator=(const LoopTimer&) = delete;

  // Once, after `delay`; replaces what was set before.
  void Set(absl::Duration delay);
  void Stop();

 private:
  absl::AnyInvocable<void()> callback_;
  event* event_;
};

}  // namespace penstock
