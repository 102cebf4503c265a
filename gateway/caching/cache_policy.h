#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/mutex.h"

namespace penstock::gateway {

// How the answers of one pool may be kept, as its routers say.
struct CachePolicy {
  // Of what decides the pool's answers. Part of every key, and what an answer must have been made
  // by.
  std::string version;
  absl::Duration ttl;
  bool share_between_tenants = false;
  uint64_t max_entry_bytes = 0;  // key and answer together

  bool operator==(const CachePolicy&) const = default;
};

// The policies of all pools that have one, as they are known at present. Thread-safe.
class CachePolicies {
 public:
  using ByPool = absl::flat_hash_map<std::string, std::shared_ptr<const CachePolicy>>;

  // Null: answers of the pool are not kept.
  std::shared_ptr<const CachePolicy> Find(absl::string_view pool) const;
  void Replace(ByPool policies);

  // `ask` runs whenever an answer shows that what is known is out of date; it must not block. Set
  // once, before anything is answered.
  void OnOutdated(absl::AnyInvocable<void() const> ask) { outdated_ = std::move(ask); }
  void Outdated() const {
    if (outdated_) outdated_();
  }

 private:
  absl::AnyInvocable<void() const> outdated_;
  mutable Mutex mutex_;
  std::shared_ptr<const ByPool> policies_ ABSL_GUARDED_BY(mutex_) =
      std::make_shared<const ByPool>();
};

}  // namespace penstock::gateway
