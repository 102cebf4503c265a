#pragma once

#include <cstddef>

#include "absl/strings/string_view.h"

namespace penstock::gateway {

// What the cache did, for metrics. Pools are ones that a router has named. Must not block.
class CacheObserver {
 public:
  // What a request for a cacheable pool was answered from.
  enum class Source {
    kLocal,   // this process
    kShared,  // the store that gateways share
    kFlight,  // another request's run
    kRun,     // a run of its own
    kBypass,  // a run of its own, without looking
  };
  // What became of a run's answer.
  enum class Outcome {
    kKept,
    kFailed,
    kDegraded,
    kOutdated,  // another version than the policy's made it
    kTooLarge,
  };
  // kReadSkipped: the store has not answered of late, and nobody waited for it.
  enum class StoreResult { kHit, kMiss, kWritten, kReadFailed, kReadSkipped, kWriteFailed };

  virtual ~CacheObserver() = default;
  virtual void Answered(absl::string_view pool, Source source) = 0;
  virtual void Ran(absl::string_view pool, Outcome outcome) = 0;
  virtual void Holds(size_t bytes, size_t entries) = 0;
  virtual void Evicted(size_t entries) = 0;
  virtual void FlightsOpen(size_t flights) = 0;
  virtual void StoreAnswered(StoreResult result) = 0;
  // A router was asked for its pools' policies.
  virtual void PoliciesRead(bool ok) = 0;
};

}  // namespace penstock::gateway
