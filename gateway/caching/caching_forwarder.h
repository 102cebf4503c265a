#pragma once

#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/bytes.h"
#include "common/net/infer_call.h"
#include "common/time/clock.h"
#include "gateway/caching/answer_cache.h"
#include "gateway/caching/cache_key.h"
#include "gateway/caching/cache_observer.h"
#include "gateway/caching/cache_policy.h"
#include "gateway/caching/flights.h"
#include "gateway/forwarding/forwarder.h"

namespace penstock::gateway {

// Answers requests that were admitted: from what is kept, with an equal request's run, or by
// forwarding them. Requests of pools that are not cacheable are forwarded as they are. Thread-safe.
class CachingForwarder {
 public:
  struct Deps {
    const CachePolicies& policies;
    AnswerCache& answers;
    Flights& flights;
    Forwarder& forwarder;
    const Clock& clock;
    CacheObserver& observer;
    DigestFunction digest = &Sha256OfKey;
  };
  // Who asks, as was found out about the caller.
  struct Asker {
    std::string tenant;
    bool may_force_experts = false;
  };
  using Done = absl::AnyInvocable<void(InferReply)>;

  explicit CachingForwarder(Deps deps) : deps_(std::move(deps)) {}

  // `done` runs once, on any thread, possibly before this returns; null where it ran for good.
  // `streamed`: one message of a stream, which is always run.
  std::shared_ptr<OutgoingCall> Infer(absl::string_view pool, const Bytes& message, bool streamed,
                                      const Asker& asker, CallOptions options, Done done);

 private:
  // A run of its own, whose answer nobody else gets.
  std::shared_ptr<OutgoingCall> Bypass(absl::string_view pool, const Bytes& message,
                                       CallOptions options, Done done);
  // The same, but the answer is kept.
  std::shared_ptr<OutgoingCall> Refresh(CacheKey key, Flights::Request request, Done done);

  const Deps deps_;
};

}  // namespace penstock::gateway
