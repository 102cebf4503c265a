#include "router_service/pools/usable_replicas.h"

#include <algorithm>

namespace penstock::router {

void DeadEndpoints::Add(const InferTarget& target) {
  MutexLock lock(mutex_);
  targets_.push_back(&target);
  any_.store(true, std::memory_order_release);
}

bool DeadEndpoints::Has(const InferTarget& target) const {
  if (!any_.load(std::memory_order_acquire)) return false;
  MutexLock lock(mutex_);
  return std::find(targets_.begin(), targets_.end(), &target) != targets_.end();
}

void MarkUsable(absl::Span<const std::shared_ptr<Replica>> replicas, absl::Span<const size_t> tried,
                const DeadEndpoints& dead, absl::Span<ReplicaView> views) {
  bool others = false;
  for (size_t i = 0; i < replicas.size(); ++i) {
    const Replica& replica = *replicas[i];
    views[i].healthy = replica.available() && !dead.Has(replica.target());
    others = others || (views[i].healthy && replica.guard().ejected() == EjectionReason::kNone &&
                        std::find(tried.begin(), tried.end(), i) == tried.end());
  }
  if (!others) return;
  for (size_t i = 0; i < replicas.size(); ++i) {
    if (replicas[i]->guard().ejected() != EjectionReason::kNone) views[i].healthy = false;
  }
}

}  // namespace penstock::router
