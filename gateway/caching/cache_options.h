#pragma once

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "penstock/config/v1/gateway.pb.h"

namespace penstock::gateway {

struct CacheOptions {
  size_t max_bytes = 0;  // 0: there is no cache
  std::string store;     // empty: none
  absl::Duration store_timeout;
  size_t max_store_entry_bytes = 0;
};

// Defaults filled in. INVALID_ARGUMENT names the field.
absl::StatusOr<CacheOptions> ReadCacheOptions(const config::v1::ResponseCache& config);

}  // namespace penstock::gateway
