#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/bytes.h"
#include "common/mutex.h"
#include "common/net/infer_call.h"
#include "common/time/clock.h"
#include "common/time/timers.h"
#include "gateway/caching/answer_cache.h"
#include "gateway/caching/cache_key.h"
#include "gateway/caching/cache_observer.h"
#include "gateway/caching/cache_policy.h"
#include "gateway/forwarding/forwarder.h"

namespace penstock::gateway {

// Equal requests that are under way at the same time are one run, a flight, which belongs to none
// of them.
//
// A flight runs for its payer, the one of its waiters that came first, in that tenant's name and
// with that request's deadline, by which the router chooses experts. Whoever comes later waits for
// it, unless its own time is over clearly earlier: it then gets a flight of its own, which those
// after it may join. A waiter leaves when its client does or its deadline passes; with the last one
// the flight is cancelled.
//
// An error or a degraded answer goes to those for whom it holds too. A waiter with more time than
// the run had, or of another tenant, is not done: those waiters get one more run, with the latest
// of their deadlines, and take what that comes to.
//
// Their number is bounded by admission, through which every waiter has come. Thread-safe.
class Flights {
 public:
  struct Deps {
    AnswerCache& answers;
    Forwarder& forwarder;
    const Clock& clock;
    Timers& timers;
    CacheObserver& observer;
    // SameKey; keys may be large, so it runs without the lock.
    std::function<bool(const CacheKey&, const CacheKey&)> same_key = &SameKey;
  };
  struct Request {
    std::string pool;
    std::shared_ptr<const CachePolicy> policy;
    Bytes message;
    std::string id;  // of the message
    std::string tenant;
    CallOptions options;
    // When it is too late: the options' deadline, or before that the end of a latency budget.
    absl::Time due;
  };
  using Done = absl::AnyInvocable<void(InferReply)>;

  explicit Flights(Deps deps) : deps_(std::move(deps)) {}

  // `done` runs once, on any thread, possibly before this returns. Cancel leaves the flight.
  std::shared_ptr<OutgoingCall> Join(CacheKey key, Request request, Done done);

 private:
  using SeatId = uint64_t;
  struct Waiter;
  struct Flight;
  class Seat;

  // A flight whose key was compared with a request's, which holds for ever.
  struct Compared {
    std::shared_ptr<Flight> flight;
    bool same;
  };
  // One of the key's digest that whoever has time until `due` may wait for: the same, else one that
  // is not in `compared`; null: all of them have other keys.
  std::shared_ptr<Flight> FindFlight(const CacheKey& key, absl::Time due,
                                     const std::vector<Compared>& compared, bool& same) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  SeatId Sit(const std::shared_ptr<Flight>& flight, Waiter waiter)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Remove(const Flight& flight) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Begin(const std::shared_ptr<Flight>& flight);
  void OnShared(const std::shared_ptr<Flight>& flight, std::shared_ptr<const KeptAnswer> kept);
  void Run(const std::shared_ptr<Flight>& flight);
  void OnReply(const std::shared_ptr<Flight>& flight, InferReply reply);
  void Leave(const std::shared_ptr<Flight>& flight, SeatId seat, absl::Status why);
  void Finish(Waiter waiter, InferReply reply);

  const Deps deps_;
  mutable Mutex mutex_;  // of every flight's fields too, but those that never change
  SeatId next_seat_ ABSL_GUARDED_BY(mutex_) = 1;
  std::unordered_multimap<uint64_t, std::shared_ptr<Flight>> open_ ABSL_GUARDED_BY(mutex_);
  // By the first byte of their digests. Who saw no flight, and then no answer in the cache, has
  // missed neither while the number stays.
  std::array<uint64_t, 256> removed_ ABSL_GUARDED_BY(mutex_) = {};
};

}  // namespace penstock::gateway
