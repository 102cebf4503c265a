#pragma once

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/store/store.h"
#include "common/time/clock.h"
#include "common/time/timers.h"

namespace prometheus {
class Registry;
}  // namespace prometheus

namespace penstock {

// How a service's store is doing, twice a second; that its server went or came back is logged too.
// Thread-safe.
class StoreMetrics : public std::enable_shared_from_this<StoreMetrics> {
 public:
  static constexpr absl::Duration kEvery = absl::Milliseconds(500);

  // `name`: the label `store`, a word of the code. All references outlive Stop.
  StoreMetrics(prometheus::Registry& registry, const std::string& name, const Store& store,
               const Clock& clock, Timers& timers);
  ~StoreMetrics();

  // The first figures are there when it returns.
  void Start();
  // Neither store nor timers are touched after this.
  void Stop();

 private:
  struct Families;

  void Tick();
  void Tell(const StoreState& state) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void LogConnection(const StoreState& state) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string name_;
  const Store& store_;
  const Clock& clock_;
  Timers& timers_;
  const std::unique_ptr<Families> families_;
  Mutex mutex_;
  StoreState told_ ABSL_GUARDED_BY(mutex_);
  bool told_gone_ ABSL_GUARDED_BY(mutex_) = false;  // in the process's log
  Timers::Id timer_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace penstock
