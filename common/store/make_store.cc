#include <utility>

#include "common/status_macros.h"
#include "common/store/memory_store.h"
#include "common/store/redis/redis_store.h"
#include "common/store/store.h"

namespace penstock {

bool IsSharedStore(absl::string_view uri) { return !uri.empty() && uri != "memory://"; }

absl::Status CheckStoreAddress(absl::string_view uri) {
  return IsSharedStore(uri) ? ParseRedisAddress(uri).status() : absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Store>> MakeStore(absl::string_view uri, const Clock& clock,
                                                 uint64_t seed) {
  if (!IsSharedStore(uri)) return std::make_unique<MemoryStore>(clock);
  PENSTOCK_ASSIGN_OR_RETURN(RedisAddress address, ParseRedisAddress(uri));
  return std::make_unique<RedisStore>(std::move(address), clock, seed);
}

}  // namespace penstock
