#include <utility>

#include "common/status_macros.h"
#include "common/store/memory_store.h"
#include "common/store/redis/redis_store.h"
#include "common/store/store.h"

namespace penstock {

namespace {

bool IsMemory(absl::string_view uri) { return uri.empty() || uri == "memory://"; }

}  // namespace

absl::Status CheckStoreAddress(absl::string_view uri) {
  return IsMemory(uri) ? absl::OkStatus() : ParseRedisAddress(uri).status();
}

absl::StatusOr<std::unique_ptr<Store>> MakeStore(absl::string_view uri, const Clock& clock,
                                                 uint64_t seed) {
  if (IsMemory(uri)) return std::make_unique<MemoryStore>(clock);
  PENSTOCK_ASSIGN_OR_RETURN(RedisAddress address, ParseRedisAddress(uri));
  return std::make_unique<RedisStore>(std::move(address), clock, seed);
}

}  // namespace penstock
