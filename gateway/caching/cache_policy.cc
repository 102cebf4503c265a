#include "gateway/caching/cache_policy.h"

#include <utility>

namespace penstock::gateway {

std::shared_ptr<const CachePolicy> CachePolicies::Find(absl::string_view pool) const {
  std::shared_ptr<const ByPool> policies;
  {
    MutexLock lock(mutex_);
    policies = policies_;
  }
  const auto it = policies->find(pool);
  return it == policies->end() ? nullptr : it->second;
}

void CachePolicies::Replace(ByPool policies) {
  auto next = std::make_shared<const ByPool>(std::move(policies));
  MutexLock lock(mutex_);
  policies_.swap(next);
}

}  // namespace penstock::gateway
