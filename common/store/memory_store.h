#pragma once

#include <map>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "common/mutex.h"
#include "common/store/store.h"

namespace penstock {

// A store of this process. What expired is dropped by the next call, whichever it is.
class MemoryStore final : public Store {
 public:
  // `max_keys`: counters and values together, so that hostile names cannot fill the memory.
  explicit MemoryStore(const Clock& clock, size_t max_keys = 100'000)
      : clock_(clock), max_keys_(max_keys) {}

  absl::StatusOr<int64_t> Add(absl::string_view name, int64_t window, int64_t amount,
                              absl::Duration ttl) override;
  absl::StatusOr<int64_t> Get(absl::string_view name, int64_t window) override;
  absl::Status Put(absl::string_view key, std::string value, absl::Duration ttl) override;
  absl::StatusOr<std::optional<std::string>> Find(absl::string_view key) override;
  absl::Status Erase(absl::string_view key) override;

 private:
  // The window of a value is 0.
  struct Key {
    bool is_counter;
    std::string name;
    int64_t window;

    bool operator==(const Key&) const = default;
    template <typename H>
    friend H AbslHashValue(H h, const Key& key) {
      return H::combine(std::move(h), key.is_counter, key.name, key.window);
    }
  };
  using Expiries = std::multimap<absl::Time, Key>;
  struct Entry {
    int64_t counter = 0;
    std::string value;
    Expiries::iterator expiry;
  };

  void DropExpired() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The entry, made if it is not there.
  absl::StatusOr<Entry*> FindOrMake(Key key, absl::Duration ttl)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Clock& clock_;
  const size_t max_keys_;
  Mutex mutex_;
  absl::flat_hash_map<Key, Entry> entries_ ABSL_GUARDED_BY(mutex_);
  Expiries expiries_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock
