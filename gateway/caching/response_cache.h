#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "common/store/store.h"
#include "common/time/clock.h"
#include "common/time/timers.h"
#include "gateway/caching/answer_cache.h"
#include "gateway/caching/cache_observer.h"
#include "gateway/caching/cache_options.h"
#include "gateway/caching/cache_policy.h"
#include "gateway/caching/caching_forwarder.h"
#include "gateway/caching/flights.h"
#include "gateway/caching/shared_cache.h"
#include "gateway/forwarding/forwarder.h"

namespace penstock::gateway {

// The room's parts, put together.
class ResponseCache {
 public:
  // All outlive the cache.
  struct Deps {
    Forwarder& forwarder;
    const Clock& clock;
    Timers& timers;
    CacheObserver& observer;
    uint64_t seed = 0;  // of the store's attempts to connect again
  };
  // `options.max_bytes` is above 0. INVALID_ARGUMENT: the store's address is wrong.
  static absl::StatusOr<std::unique_ptr<ResponseCache>> Create(const CacheOptions& options,
                                                               const Deps& deps);

  // INVALID_ARGUMENT where the address is wrong. Connects to nothing.
  static absl::Status CheckStore(const CacheOptions& options);

  CachePolicies& policies() { return policies_; }
  CachingForwarder& forwarder() { return forwarder_; }
  const Store* store() const { return store_.get(); }  // null: none

 private:
  ResponseCache(const CacheOptions& options, const Deps& deps, std::unique_ptr<Store> store);

  CachePolicies policies_;
  const std::unique_ptr<SharedCache> shared_;  // null: none
  AnswerCache answers_;
  Flights flights_;
  CachingForwarder forwarder_;
  // Gone first: its callbacks reach the parts above.
  const std::unique_ptr<Store> store_;
};

}  // namespace penstock::gateway
