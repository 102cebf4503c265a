#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "common/bytes.h"
#include "common/mutex.h"
#include "common/time/clock.h"
#include "common/time/timers.h"

namespace penstock::gateway {

// The last decisions of all routers, for whoever looks: kept while somebody does, so that nobody
// pays for a page that nobody has open. Thread-safe. Lives in a shared_ptr: its source and its
// timers may run once more after its end.
class DecisionFeed : public std::enable_shared_from_this<DecisionFeed> {
 public:
  // What makes decisions come. `watch` is called again and again while somebody reads.
  struct Source {
    std::function<void()> watch;
    std::function<void()> unwatch;
  };
  struct Limits {
    size_t decisions = 1024;
    size_t bytes = 8 << 20;
    // Who waits for the next one. More are answered at once.
    size_t listeners = 32;
    // The routers are let go of when nobody has looked for so long.
    absl::Duration idle = absl::Seconds(15);
  };
  struct Batch {
    std::vector<Bytes> decisions;  // v1::Decision, oldest first
    uint64_t next = 0;             // `after` of the next call
    uint64_t missed = 0;           // that came since `after` and are gone
  };
  using Done = absl::AnyInvocable<void(Batch)>;

  // `clock` and `timers` outlive Stop.
  DecisionFeed(const Clock& clock, Timers& timers, Limits limits);

  // Before the first call of Read.
  void SetSource(Source source) { source_ = std::move(source); }
  void Push(Bytes decision);
  // Those behind `after`, a `next` of before (0: all that are kept): at once where there are any,
  // else with the next one, or empty at `until`. `done` runs once, on any thread, possibly before
  // this returns.
  void Read(uint64_t after, absl::Time until, Done done);
  // Whoever waits is answered; nothing is watched any more.
  void Stop();

 private:
  struct Listener {
    uint64_t after;
    Done done;
    Timers::Id timer;
  };
  using Answers = std::vector<std::pair<Done, Batch>>;

  Batch BatchAfter(uint64_t after) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TakeListeners(Answers& answers) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TimeOut(uint64_t listener);
  void ScheduleIdleCheck() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CheckIdle();

  const Clock& clock_;
  Timers& timers_;
  const Limits limits_;
  Source source_;
  Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  bool watching_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Time read_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  Timers::Id idle_timer_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<Bytes> kept_ ABSL_GUARDED_BY(mutex_);
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  // Of the newest one kept. Begins with the time, so that a cursor of an earlier process is older
  // than everything here.
  uint64_t last_ ABSL_GUARDED_BY(mutex_);
  const uint64_t first_;
  uint64_t next_listener_ ABSL_GUARDED_BY(mutex_) = 1;
  std::map<uint64_t, Listener> listeners_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock::gateway
