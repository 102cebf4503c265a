#pragma once

#include <cstddef>
#include <list>
#include <memory>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "gateway/caching/cache_key.h"
#include "gateway/caching/kept_answer.h"

namespace penstock::gateway {

// Answers of this process. What was not asked for longest goes first once the bytes of keys,
// answers and what holds them exceed the bound. Of keys whose digests collide the latest is kept.
// Thread-safe.
class LocalCache {
 public:
  explicit LocalCache(size_t max_bytes) : max_bytes_(max_bytes) {}

  // Null: none, or its time is over.
  std::shared_ptr<const KeptAnswer> Find(const CacheKey& key, absl::Time now);
  // How many others had to go. One that alone exceeds the bound is not kept. `key` is copied.
  size_t Put(const CacheKey& key, std::shared_ptr<const KeptAnswer> answer, absl::Time until);

  size_t bytes() const;
  size_t entries() const;
  // What an entry takes beside the bytes of its key and answer.
  static size_t Overhead();

 private:
  struct Entry {
    CacheKey key;
    std::shared_ptr<const KeptAnswer> answer;
    absl::Time until;

    size_t size() const;
  };
  using Entries = std::list<std::shared_ptr<const Entry>>;

  void Remove(Entries::iterator it) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t max_bytes_;
  mutable Mutex mutex_;
  Entries entries_ ABSL_GUARDED_BY(mutex_);  // asked for last: first
  absl::flat_hash_map<CacheDigest, Entries::iterator> by_digest_ ABSL_GUARDED_BY(mutex_);
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace penstock::gateway
