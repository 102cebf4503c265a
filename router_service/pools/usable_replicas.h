#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/mutex.h"
#include "common/net/infer_call.h"
#include "router_service/pools/replica.h"
#include "router_service/replicas/replica_view.h"

namespace penstock::router {

// Endpoints that one request has found dead, whichever of its experts found them: none of them is
// asked a second time by it, under another expert's name either. One that answered, but said that a
// model is not there, is dead for that model. Thread-safe.
class DeadEndpoints {
 public:
  void Add(const InferTarget& target);
  void Add(const InferTarget& target, const std::string& model);
  bool Has(const InferTarget& target, absl::string_view model) const;

 private:
  struct Dead {
    const InferTarget* target;
    std::optional<std::string> model;  // unset: whatever it serves
  };

  void Add(Dead dead);

  std::atomic<bool> any_{false};  // most requests find none, and take no lock
  mutable Mutex mutex_;
  std::vector<Dead> dead_ ABSL_GUARDED_BY(mutex_);
};

// Sets `healthy` of each view to whether a request that has asked those at `tried` may ask this
// one for `model`: it is healthy, its breaker is closed, and the request has not found it dead.
// Ejected ones may be asked only where nobody else is left.
void MarkUsable(absl::Span<const std::shared_ptr<Replica>> replicas, absl::Span<const size_t> tried,
                const DeadEndpoints& dead, absl::string_view model, absl::Span<ReplicaView> views);

}  // namespace penstock::router
