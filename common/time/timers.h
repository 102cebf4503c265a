#pragma once

#include <cstdint>
#include <map>
#include <thread>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/time/clock.h"

namespace penstock {

// Runs callbacks at a time. Thread-safe; a callback may schedule and cancel.
class Timers {
 public:
  using Id = uint64_t;
  virtual ~Timers() = default;
  // `callback` runs once, at or after `at`, on a thread of the implementation; it must not block.
  virtual Id Schedule(absl::Time at, absl::AnyInvocable<void()> callback) = 0;
  // True when the callback will not run. False: it ran, or is running.
  virtual bool Cancel(Id id) = 0;
};

// One thread over a real clock.
class ThreadTimers final : public Timers {
 public:
  explicit ThreadTimers(const Clock& clock);
  // Callbacks that are due later never run.
  ~ThreadTimers() override;
  Id Schedule(absl::Time at, absl::AnyInvocable<void()> callback) override;
  bool Cancel(Id id) override;

 private:
  void Run();

  const Clock& clock_;
  Mutex mutex_;
  CondVar wake_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  Id next_id_ ABSL_GUARDED_BY(mutex_) = 1;
  // Ordered by time, then id.
  std::map<std::pair<absl::Time, Id>, absl::AnyInvocable<void()>> due_ ABSL_GUARDED_BY(mutex_);
  std::map<Id, absl::Time> times_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace penstock
