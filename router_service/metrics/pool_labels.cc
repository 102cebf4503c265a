#include "router_service/metrics/pool_labels.h"

namespace penstock::router {

bool PoolLabels::AdmitLocked(absl::string_view pool) {
  if (pools_.contains(pool)) return true;
  if (pools_.size() >= kMostPools) return false;
  pools_.emplace(pool);
  return true;
}

bool PoolLabels::Admit(absl::string_view pool) {
  MutexLock lock(mutex_);
  return AdmitLocked(pool);
}

bool PoolLabels::Admit(absl::string_view pool, absl::string_view expert) {
  MutexLock lock(mutex_);
  if (!AdmitLocked(pool)) return false;
  std::pair<std::string, std::string> name(pool, expert);
  if (experts_.count(name) > 0) return true;
  if (experts_.size() >= kMostExperts) return false;
  experts_.insert(std::move(name));
  return true;
}

std::string PoolLabels::LabelOf(absl::string_view pool) {
  return Admit(pool) ? std::string(pool) : kOther;
}

std::string PoolLabels::LabelOf(absl::string_view pool, absl::string_view expert) {
  if (pool == kOther) return kOther;  // of any pool
  return Admit(pool, expert) ? std::string(expert) : kOther;
}

}  // namespace penstock::router
