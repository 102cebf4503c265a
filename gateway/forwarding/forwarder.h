#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/net/infer_call.h"
#include "common/time/clock.h"
#include "common/time/timers.h"
#include "gateway/forwarding/latency_window.h"

namespace penstock::gateway {

class ForwardedCall;

// Sends requests to the healthy router with the fewest in flight, and once more to another one where
// the first did not take it: after UNAVAILABLE, after a CANCELLED that nobody here asked for, and
// after a silence of four times the pool's 0.99 quantile. Thread-safe.
class Forwarder {
 public:
  // What happened on the way, for metrics. Must not block.
  class Observer {
   public:
    virtual ~Observer() = default;
    virtual void Retried(absl::string_view why) = 0;  // unavailable, cancelled, silent
  };

  using Routers = std::vector<std::shared_ptr<InferTarget>>;

  // All borrowed, the routers until others take their place.
  Forwarder(const std::vector<InferTarget*>& routers, const Clock& clock, Timers& timers,
            Observer& observer);

  // Requests under way end where they are; what is in flight at routers that stay counts on.
  void SetRouters(const Routers& routers);

  // `done` runs once, on any thread, possibly before this returns.
  std::shared_ptr<OutgoingCall> Forward(absl::string_view pool, Bytes request, CallOptions options,
                                        absl::AnyInvocable<void(InferReply)> done);

 private:
  friend class ForwardedCall;

  // Shared with the calls: the last event of an attempt that was given up may come after all else.
  struct Counted {
    explicit Counted(std::shared_ptr<InferTarget> to) : target(std::move(to)) {}
    const std::shared_ptr<InferTarget> target;
    std::atomic<uint32_t> in_flight{0};
  };
  using Targets = std::vector<std::shared_ptr<Counted>>;

  std::shared_ptr<const Targets> Current() const;
  // The healthy router with the fewest in flight that is not in `tried`; ties: the first. Null: none.
  std::shared_ptr<Counted> Pick(const Targets& tried) const;

  std::optional<absl::Duration> SilenceLimit(absl::string_view pool) const;
  void RecordLatency(absl::string_view pool, absl::Duration latency);

  const Clock& clock_;
  Timers& timers_;
  Observer& observer_;
  mutable Mutex routers_mutex_;
  std::shared_ptr<const Targets> routers_ ABSL_GUARDED_BY(routers_mutex_);
  mutable Mutex mutex_;
  absl::flat_hash_map<std::string, LatencyWindow> latency_by_pool_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock::gateway
