#include "gateway/caching/local_cache.h"

#include <iterator>
#include <string>
#include <utility>

namespace penstock::gateway {

size_t LocalCache::Overhead() {
  // An allocation each of: the entry, the list's node, the key's head and tensors, the answer and
  // its body; 32 bytes apiece for the allocator and the counts of a shared_ptr. The map is at most
  // 7/8 full and at least 7/16.
  constexpr size_t kAllocations = 6;
  constexpr size_t kNode = 2 * sizeof(void*) + sizeof(std::shared_ptr<const Entry>);
  constexpr size_t kSlot = sizeof(CacheDigest) + sizeof(void*) + 1;
  constexpr size_t kStrings = 2 * sizeof(std::string);  // that own tensors and body
  return sizeof(Entry) + sizeof(KeptAnswer) + kNode + kSlot * 16 / 7 + kStrings + kAllocations * 32;
}

size_t LocalCache::Entry::size() const { return key.size() + answer->body.size() + Overhead(); }

std::shared_ptr<const KeptAnswer> LocalCache::Find(const CacheKey& key, absl::Time now) {
  std::shared_ptr<const Entry> found;
  {
    MutexLock lock(mutex_);
    const auto it = by_digest_.find(key.digest);
    if (it == by_digest_.end()) return nullptr;
    if ((*it->second)->until <= now) {
      Remove(it->second);
      return nullptr;
    }
    entries_.splice(entries_.begin(), entries_, it->second);
    found = *it->second;
  }
  // Outside the lock, since keys may be large. Of another key with this digest only the place in
  // the order has moved.
  return SameKey(found->key, key) ? found->answer : nullptr;
}

size_t LocalCache::Put(const CacheKey& key, std::shared_ptr<const KeptAnswer> answer,
                       absl::Time until) {
  auto entry = std::make_shared<Entry>();
  entry->key = OwnKey(key);
  entry->answer = std::move(answer);
  entry->until = until;
  const size_t size = entry->size();
  if (size > max_bytes_) return 0;
  size_t evicted = 0;
  MutexLock lock(mutex_);
  if (const auto it = by_digest_.find(key.digest); it != by_digest_.end()) Remove(it->second);
  while (bytes_ + size > max_bytes_) {
    Remove(std::prev(entries_.end()));
    ++evicted;
  }
  entries_.push_front(std::move(entry));
  by_digest_[key.digest] = entries_.begin();
  bytes_ += size;
  return evicted;
}

void LocalCache::Remove(Entries::iterator it) {
  bytes_ -= (*it)->size();
  by_digest_.erase((*it)->key.digest);
  entries_.erase(it);
}

size_t LocalCache::bytes() const {
  MutexLock lock(mutex_);
  return bytes_;
}

size_t LocalCache::entries() const {
  MutexLock lock(mutex_);
  return entries_.size();
}

}  // namespace penstock::gateway
