#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/time/clock.h"
#include "common/time/timers.h"
#include "router_service/usage/usage_counts.h"
#include "router_service/usage/usage_ledger.h"

namespace penstock::router {

// Tells the ledger what this router counted, every other second, and again all of it where the
// store forgot. Without a ledger it only sees that the counts stay within their limits.
// Thread-safe.
class UsageTeller {
 public:
  struct Deps {
    UsageCounts& counts;
    UsageLedger* ledger;  // null: routers share no store
    const Clock& clock;
    Timers& timers;
    std::string owner;  // of what is told; no other process, and no earlier one, has this name
  };
  // What an operator should see. Called by one thread at a time, seldom.
  struct Events {
    std::function<void(const absl::Status& why)> not_told;     // once until it is told again
    std::function<void(size_t pairs)> dropped_untold;          // the store was away for too long
    std::function<void(uint64_t requests)> counted_as_others;  // since this was called last
  };
  UsageTeller(Deps deps, Events events);
  // Nothing runs after it.
  ~UsageTeller();

  void Start();
  // Tells what is left, which takes no longer than `patience`. Blocks; not from a callback of the
  // store or the timers.
  void Finish(absl::Duration patience);

 private:
  class State;
  const std::shared_ptr<State> state_;
};

}  // namespace penstock::router
