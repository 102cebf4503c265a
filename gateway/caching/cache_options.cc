#include "gateway/caching/cache_options.h"

#include "absl/strings/str_cat.h"

namespace penstock::gateway {
namespace {

constexpr uint64_t kDefaultMaxBytes = 64 << 20;
constexpr uint64_t kMostBytes = uint64_t{1} << 40;
constexpr absl::Duration kDefaultStoreTimeout = absl::Milliseconds(20);
constexpr uint64_t kDefaultStoreEntryBytes = 256 << 10;
constexpr uint64_t kLeastStoreEntryBytes = 1 << 10;
constexpr uint64_t kMostStoreEntryBytes = 64 << 20;

}  // namespace

absl::StatusOr<CacheOptions> ReadCacheOptions(const config::v1::ResponseCache& config) {
  const uint64_t max_bytes = config.has_max_bytes() ? config.max_bytes() : kDefaultMaxBytes;
  if (max_bytes > kMostBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("cache.max_bytes is ", max_bytes, ", wanted at most ", kMostBytes));
  }
  const uint64_t entry =
      config.has_max_store_entry_bytes() ? config.max_store_entry_bytes() : kDefaultStoreEntryBytes;
  if (entry < kLeastStoreEntryBytes || entry > kMostStoreEntryBytes) {
    return absl::InvalidArgumentError(absl::StrCat("cache.max_store_entry_bytes is ", entry,
                                                   ", wanted ", kLeastStoreEntryBytes, " to ",
                                                   kMostStoreEntryBytes));
  }
  absl::Duration timeout = kDefaultStoreTimeout;
  if (config.has_store_timeout()) {
    timeout = absl::Seconds(config.store_timeout().seconds()) +
              absl::Nanoseconds(config.store_timeout().nanos());
  }
  if (timeout < absl::Milliseconds(1) || timeout > absl::Seconds(10)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "cache.store_timeout is ", absl::FormatDuration(timeout), ", wanted 1ms to 10s"));
  }
  if (max_bytes == 0 && !config.store().empty()) {
    return absl::InvalidArgumentError(
        "cache.store: wanted cache.max_bytes above 0, since a cache of none uses no store");
  }
  return CacheOptions{.max_bytes = max_bytes,
                      .store = config.store(),
                      .store_timeout = timeout,
                      .max_store_entry_bytes = entry};
}

}  // namespace penstock::gateway
