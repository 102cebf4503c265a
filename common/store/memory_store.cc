#include "common/store/memory_store.h"

#include "absl/strings/str_cat.h"

namespace penstock {

void MemoryStore::DropExpired() {
  const absl::Time now = clock_.Now();
  while (!expiries_.empty() && expiries_.begin()->first <= now) {
    entries_.erase(expiries_.begin()->second);
    expiries_.erase(expiries_.begin());
  }
}

absl::StatusOr<MemoryStore::Entry*> MemoryStore::FindOrMake(Key key, absl::Duration ttl) {
  if (ttl <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(
        absl::StrCat("store: time to live of '", key.name, "' is ", absl::FormatDuration(ttl)));
  }
  DropExpired();
  const auto it = entries_.find(key);
  if (it != entries_.end()) return &it->second;
  if (entries_.size() >= max_keys_) {
    return absl::ResourceExhaustedError(absl::StrCat("store: full, with ", max_keys_, " keys"));
  }
  Entry& entry = entries_[key];
  entry.expiry = expiries_.emplace(clock_.Now() + ttl, std::move(key));
  return &entry;
}

absl::StatusOr<int64_t> MemoryStore::Add(absl::string_view name, int64_t window, int64_t amount,
                                         absl::Duration ttl) {
  MutexLock lock(mutex_);
  absl::StatusOr<Entry*> entry =
      FindOrMake({.is_counter = true, .name = std::string(name), .window = window}, ttl);
  if (!entry.ok()) return entry.status();
  int64_t sum = 0;
  if (__builtin_add_overflow((*entry)->counter, amount, &sum)) {
    return absl::OutOfRangeError(
        absl::StrCat("store: counter '", name, "' overflows: ", (*entry)->counter, " + ", amount));
  }
  return (*entry)->counter = sum;
}

absl::StatusOr<int64_t> MemoryStore::Get(absl::string_view name, int64_t window) {
  MutexLock lock(mutex_);
  DropExpired();
  const auto it =
      entries_.find(Key{.is_counter = true, .name = std::string(name), .window = window});
  return it == entries_.end() ? 0 : it->second.counter;
}

absl::Status MemoryStore::Put(absl::string_view key, std::string value, absl::Duration ttl) {
  MutexLock lock(mutex_);
  absl::StatusOr<Entry*> entry =
      FindOrMake({.is_counter = false, .name = std::string(key), .window = 0}, ttl);
  if (!entry.ok()) return entry.status();
  (*entry)->value = std::move(value);
  // Moves the node in place of the old one.
  auto expiry = expiries_.extract((*entry)->expiry);
  expiry.key() = clock_.Now() + ttl;
  (*entry)->expiry = expiries_.insert(std::move(expiry));
  return absl::OkStatus();
}

absl::StatusOr<std::optional<std::string>> MemoryStore::Find(absl::string_view key) {
  MutexLock lock(mutex_);
  DropExpired();
  const auto it = entries_.find(Key{.is_counter = false, .name = std::string(key), .window = 0});
  if (it == entries_.end()) return std::nullopt;
  return it->second.value;
}

absl::Status MemoryStore::Erase(absl::string_view key) {
  MutexLock lock(mutex_);
  DropExpired();
  const auto it = entries_.find(Key{.is_counter = false, .name = std::string(key), .window = 0});
  if (it == entries_.end()) return absl::OkStatus();
  expiries_.erase(it->second.expiry);
  entries_.erase(it);
  return absl::OkStatus();
}

}  // namespace penstock
