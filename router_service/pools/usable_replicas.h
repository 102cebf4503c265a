#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "common/mutex.h"
#include "common/net/infer_call.h"
#include "router_service/pools/replica.h"
#include "router_service/replicas/replica_view.h"

namespace penstock::router {

// Endpoints that one request has found dead, whichever of its experts found them: none of them is
// asked a second time by it, under another expert's name either. Thread-safe.
class DeadEndpoints {
 public:
  void Add(const InferTarget& target);
  bool Has(const InferTarget& target) const;

 private:
  std::atomic<bool> any_{false};  // most requests find none, and take no lock
  mutable Mutex mutex_;
  std::vector<const InferTarget*> targets_ ABSL_GUARDED_BY(mutex_);
};

// Sets `healthy` of each view to whether a request that has asked those at `tried` may ask this
// one: it is healthy, its breaker is closed, and the request has not found it dead. Ejected ones
// may be asked only where nobody else is left.
void MarkUsable(absl::Span<const std::shared_ptr<Replica>> replicas, absl::Span<const size_t> tried,
                const DeadEndpoints& dead, absl::Span<ReplicaView> views);

}  // namespace penstock::router
