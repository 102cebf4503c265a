#include "router_service/pools/usable_replicas.h"

#include <algorithm>
#include <utility>

namespace penstock::router {

void DeadEndpoints::Add(const InferTarget& target) { Add(Dead{&target, std::nullopt}); }

void DeadEndpoints::Add(const InferTarget& target, const std::string& model) {
  Add(Dead{&target, model});
}

void DeadEndpoints::Add(Dead dead) {
  MutexLock lock(mutex_);
  dead_.push_back(std::move(dead));
  any_.store(true, std::memory_order_release);
}

bool DeadEndpoints::Has(const InferTarget& target, absl::string_view model) const {
  if (!any_.load(std::memory_order_acquire)) return false;
  MutexLock lock(mutex_);
  return std::any_of(dead_.begin(), dead_.end(), [&](const Dead& dead) {
    return dead.target == &target && (!dead.model || *dead.model == model);
  });
}

void MarkUsable(absl::Span<const std::shared_ptr<Replica>> replicas, absl::Span<const size_t> tried,
                const DeadEndpoints& dead, absl::string_view model, absl::Span<ReplicaView> views) {
  bool others = false;
  for (size_t i = 0; i < replicas.size(); ++i) {
    const Replica& replica = *replicas[i];
    views[i].healthy = replica.available() && !dead.Has(replica.target(), model);
    others = others || (views[i].healthy && replica.guard().ejected() == EjectionReason::kNone &&
                        std::find(tried.begin(), tried.end(), i) == tried.end());
  }
  if (!others) return;
  for (size_t i = 0; i < replicas.size(); ++i) {
    if (replicas[i]->guard().ejected() != EjectionReason::kNone) views[i].healthy = false;
  }
}

}  // namespace penstock::router
