#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/store/store.h"
#include "common/time/clock.h"
#include "gateway/caching/cache_key.h"
#include "gateway/caching/cache_observer.h"
#include "gateway/caching/kept_answer.h"
#include "gateway/caching/store_patience.h"

namespace penstock::gateway {

// Answers in a store that gateways share. Whatever fails there is a miss. A value holds the whole
// key, which is compared on reading: the store's own key is a digest only. Thread-safe.
class SharedCache {
 public:
  struct Options {
    absl::Duration timeout;  // of a read
    size_t max_entry_bytes;  // key and answer together; larger ones are neither read nor written
  };
  // Null, or the answer and when it ends.
  using Found = absl::AnyInvocable<void(std::shared_ptr<const KeptAnswer>, absl::Time until)>;

  // All borrowed; `observer` outlives the store's last callback.
  SharedCache(Store& store, const Clock& clock, CacheObserver& observer, Options options)
      : store_(store), clock_(clock), observer_(observer), options_(options) {}

  // One read, over by `deadline` and the timeout; none where the store does not answer of late.
  // `found` runs once, possibly before this returns.
  void Find(std::shared_ptr<const CacheKey> key, absl::Time deadline, Found found);
  // Nobody waits for the write.
  void Put(const CacheKey& key, const KeptAnswer& answer, absl::Duration ttl);

 private:
  Store& store_;
  const Clock& clock_;
  CacheObserver& observer_;
  const Options options_;
  // Shared with reads under way.
  const std::shared_ptr<StorePatience> patience_ = std::make_shared<StorePatience>();
};

// What a value looks like: a line that names the schema, when it ends (microseconds since 1970),
// the lengths of the key's parts, the key, the answer.
std::string EncodeShared(const CacheKey& key, const KeptAnswer& answer, absl::Time until);
struct DecodedShared {
  std::shared_ptr<const KeptAnswer> answer;
  absl::Time until;
};
// A null answer where the value is of another key or schema, or is no such value.
DecodedShared DecodeShared(absl::string_view value, const CacheKey& key);

}  // namespace penstock::gateway
