#pragma once

#include <cstddef>
#include <list>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "gateway/identity/credential_digest.h"
#include "gateway/identity/token_claims.h"

namespace penstock::gateway {

// Tokens that were verified, by their digest, until they expire; beyond `capacity` the one longest
// unused goes. A cache belongs to one set of keys and goes with it. Thread-safe.
class TokenCache {
 public:
  explicit TokenCache(size_t capacity) : capacity_(capacity) {}

  std::optional<Principal> Find(const Sha256Digest& digest, absl::Time now);
  void Keep(const Sha256Digest& digest, TokenHolder holder);
  size_t size() const;

 private:
  using Entry = std::pair<Sha256Digest, TokenHolder>;

  const size_t capacity_;
  mutable Mutex mutex_;
  std::list<Entry> by_use_ ABSL_GUARDED_BY(mutex_);  // the latest first
  absl::flat_hash_map<Sha256Digest, std::list<Entry>::iterator, Sha256DigestHash, Sha256DigestEqual>
      by_digest_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock::gateway
