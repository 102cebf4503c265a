#include "common/logging/event_limits.h"

#include <algorithm>
#include <utility>

namespace penstock {

EventLimits::Bucket& EventLimits::BucketOf(absl::string_view event) {
  const auto known = buckets_.find(event);
  if (known != buckets_.end()) return known->second;
  // No event is called nothing.
  return buckets_[buckets_.size() < kMaxEvents ? std::string(event) : std::string()];
}

std::optional<uint64_t> EventLimits::Admit(absl::string_view event, double lines_per_second,
                                           absl::Time now) {
  const double most = std::max(1.0, lines_per_second);
  MutexLock lock(mutex_);
  Bucket& bucket = BucketOf(event);
  // The wall's clock may have been set back.
  const absl::Duration passed = std::max(now - bucket.filled, absl::ZeroDuration());
  bucket.tokens = std::min(most, bucket.tokens + absl::ToDoubleSeconds(passed) * lines_per_second);
  bucket.filled = now;
  if (bucket.tokens < 1) {
    ++bucket.suppressed;
    ++suppressed_;
    return std::nullopt;
  }
  bucket.tokens -= 1;
  return std::exchange(bucket.suppressed, 0);
}

uint64_t EventLimits::suppressed() const {
  MutexLock lock(mutex_);
  return suppressed_;
}

}  // namespace penstock
