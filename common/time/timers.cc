#include "common/time/timers.h"

#include <algorithm>

namespace penstock {

ThreadTimers::ThreadTimers(const Clock& clock) : clock_(clock), thread_([this] { Run(); }) {}

ThreadTimers::~ThreadTimers() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    wake_.NotifyAll();
  }
  thread_.join();
}

Timers::Id ThreadTimers::Schedule(absl::Time at, absl::AnyInvocable<void()> callback) {
  MutexLock lock(mutex_);
  const Id id = next_id_++;
  const auto [it, inserted] = due_.emplace(std::pair(at, id), std::move(callback));
  times_.emplace(id, at);
  if (it == due_.begin()) wake_.NotifyOne();
  return id;
}

bool ThreadTimers::Cancel(Id id) {
  absl::AnyInvocable<void()> dropped;  // destroyed outside the lock: it may own what schedules
  MutexLock lock(mutex_);
  const auto time = times_.find(id);
  if (time == times_.end()) return false;
  const auto it = due_.find({time->second, id});
  dropped = std::move(it->second);
  due_.erase(it);
  times_.erase(time);
  return true;
}

void ThreadTimers::Run() {
  for (;;) {
    absl::AnyInvocable<void()> callback;
    {
      MutexLock lock(mutex_);
      for (;;) {
        if (stopping_) return;
        if (due_.empty()) {
          wake_.Wait(mutex_);
          continue;
        }
        const absl::Duration left = due_.begin()->first.first - clock_.Now();
        if (left <= absl::ZeroDuration()) break;
        wake_.WaitFor(mutex_, std::min(left, absl::Hours(1)));
      }
      times_.erase(due_.begin()->first.second);
      callback = std::move(due_.begin()->second);
      due_.erase(due_.begin());
    }
    callback();
  }
}

}  // namespace penstock
