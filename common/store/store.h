#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/time/clock.h"

namespace penstock {

// State that routers of one platform may share: counters of budgets, and small values. Thread-safe.
// Counters and values have separate names. RESOURCE_EXHAUSTED: the store is full.
class Store {
 public:
  virtual ~Store() = default;

  // Adds to the counter of `window` (say, the hour's number) and returns its new value, in one
  // step. The first add makes it at 0 and starts its time to live; later adds do not prolong it.
  // OUT_OF_RANGE, and nothing is added, where the sum leaves 64 bits.
  virtual absl::StatusOr<int64_t> Add(absl::string_view name, int64_t window, int64_t amount,
                                      absl::Duration ttl) = 0;
  // 0 where there is none.
  virtual absl::StatusOr<int64_t> Get(absl::string_view name, int64_t window) = 0;

  // Sets the value and its time to live anew.
  virtual absl::Status Put(absl::string_view key, std::string value, absl::Duration ttl) = 0;
  virtual absl::StatusOr<std::optional<std::string>> Find(absl::string_view key) = 0;
  virtual absl::Status Erase(absl::string_view key) = 0;
};

// "memory://" or empty: of this process. INVALID_ARGUMENT for any other scheme.
absl::StatusOr<std::unique_ptr<Store>> MakeStore(absl::string_view uri, const Clock& clock);

}  // namespace penstock
