#include "gateway/identity/token_cache.h"

namespace penstock::gateway {

std::optional<Principal> TokenCache::Find(const Sha256Digest& digest, absl::Time now) {
  MutexLock lock(mutex_);
  const auto it = by_digest_.find(digest);
  if (it == by_digest_.end()) return std::nullopt;
  const auto entry = it->second;
  if (now >= entry->second.until) {
    by_digest_.erase(it);
    by_use_.erase(entry);
    return std::nullopt;
  }
  by_use_.splice(by_use_.begin(), by_use_, entry);
  return entry->second.principal;
}

void TokenCache::Keep(const Sha256Digest& digest, TokenHolder holder) {
  if (capacity_ == 0) return;
  MutexLock lock(mutex_);
  if (by_digest_.contains(digest)) return;  // two calls with one token at once
  if (by_digest_.size() >= capacity_) {
    by_digest_.erase(by_use_.back().first);
    by_use_.pop_back();
  }
  by_use_.emplace_front(digest, std::move(holder));
  by_digest_.emplace(digest, by_use_.begin());
}

size_t TokenCache::size() const {
  MutexLock lock(mutex_);
  return by_digest_.size();
}

}  // namespace penstock::gateway
