#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/callback_gate.h"
#include "common/mutex.h"
#include "common/net/infer_call.h"
#include "common/retry_budget.h"
#include "common/time/clock.h"
#include "common/time/timers.h"
#include "gateway/forwarding/latency_window.h"

namespace penstock {
class Tracer;
}  // namespace penstock

namespace penstock::gateway {

class ForwardedCall;

// Sends requests to the healthy router with the fewest in flight, and once more to another one
// where the first did not take it: after UNAVAILABLE, after a CANCELLED that nobody here asked for,
// and after a silence (SilenceLimit), for which there is a budget. A router that was silent several
// times in a row, and has said nothing since, is the last choice, but for a probe now and then: a
// network that is cut says nothing, and for long. Thread-safe.
class Forwarder {
 public:
  // A router that has been silent for this many 0.99 quantiles is taken for dead.
  static constexpr double kSilenceFactor = 4;
  // A silence shorter than this says nothing: a scheduler's pause is as long.
  static constexpr absl::Duration kShortestSilence = absl::Milliseconds(50);
  // Silences in a row after which a router is the last choice.
  static constexpr int kSilencesToAvoid = 3;
  // From one request that asks such a router first to the next; twice as long each time.
  static constexpr absl::Duration kFirstProbe = absl::Milliseconds(100);
  static constexpr absl::Duration kLastProbe = absl::Seconds(1);

  // What happened on the way, for metrics. Must not block.
  class Observer {
   public:
    virtual ~Observer() = default;
    virtual void Retried(absl::string_view why) = 0;  // unavailable, cancelled, silent
  };

  using Routers = std::vector<std::shared_ptr<InferTarget>>;

  // All borrowed, the routers until others take their place. `tracer`: of the attempts' spans; null:
  // there are none.
  Forwarder(const std::vector<InferTarget*>& routers, const Clock& clock, Timers& timers,
            Observer& observer, Tracer* tracer = nullptr);

  // Waits for callbacks that run. What routers and timers say afterwards is dropped: requests under
  // way at the end are not answered.
  ~Forwarder() { gate_->Close(); }

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
    std::atomic<int> silences{0};  // since it last said something
    Mutex mutex;
    absl::Time probe_at ABSL_GUARDED_BY(mutex);
    absl::Duration probe_pause ABSL_GUARDED_BY(mutex);
  };
  using Targets = std::vector<std::shared_ptr<Counted>>;

  std::shared_ptr<const Targets> Current() const;
  // The healthy router with the fewest in flight that is not in `tried`, one that was silent last;
  // ties: the first. Null: none.
  std::shared_ptr<Counted> Pick(const Targets& tried) const;
  void WasSilent(Counted& router) const;
  // True once whenever it is time to ask a silent router first.
  bool TakeProbe(Counted& router) const;

  // How long a first attempt may be silent that has `left` until its deadline; infinite: as long as
  // it likes. kSilenceFactor 0.99 quantiles, but half of what is left at most where that is time
  // enough for an answer, so that another router has as much. Where no quantile is known: half.
  absl::Duration SilenceLimit(absl::string_view pool, absl::Duration left) const;
  void RecordLatency(absl::string_view pool, absl::Duration latency);

  const std::shared_ptr<CallbackGate> gate_ = std::make_shared<CallbackGate>();
  const Clock& clock_;
  Timers& timers_;
  Observer& observer_;
  Tracer* const tracer_;
  // Of retries after a silence: where all routers are slow, asking twice makes them slower.
  RetryBudget silence_budget_;
  mutable Mutex routers_mutex_;
  std::shared_ptr<const Targets> routers_ ABSL_GUARDED_BY(routers_mutex_);
  mutable Mutex mutex_;
  absl::flat_hash_map<std::string, LatencyWindow> latency_by_pool_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock::gateway
