#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/mutex.h"

namespace penstock {

// How many lines of one event may be written: a token bucket an event, which holds a second's
// lines, one at least. Of very many events the last ones share a bucket. Thread-safe.
class EventLimits {
 public:
  static constexpr size_t kMaxEvents = 256;

  // How many lines of the event were suppressed since the last one that was written; nothing: this
  // one is suppressed too.
  std::optional<uint64_t> Admit(absl::string_view event, double lines_per_second, absl::Time now);
  // Of all events.
  uint64_t suppressed() const;

 private:
  struct Bucket {
    double tokens = 0;
    absl::Time filled = absl::InfinitePast();
    uint64_t suppressed = 0;
  };
  Bucket& BucketOf(absl::string_view event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable Mutex mutex_;
  std::map<std::string, Bucket, std::less<>> buckets_ ABSL_GUARDED_BY(mutex_);
  uint64_t suppressed_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace penstock
