#include "router_service/replicas/recent_quantile.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace penstock::router {
namespace {
constexpr int64_t kUnknown = std::numeric_limits<int64_t>::max();
constexpr size_t kLeast = 256;
constexpr size_t kMost = 2048;
constexpr size_t kBetween = 16;
}  // namespace

RecentQuantile::RecentQuantile(double quantile)
    : quantile_(quantile),
      // The tolerance: 1 / (1 - 0.95) is a little above 20.
      least_(static_cast<size_t>(std::ceil(1 / (1 - quantile) - 1e-6))),
      nanoseconds_(kUnknown) {
  MutexLock lock(mutex_);
  capacity_ = std::clamp(20 * least_, kLeast, kMost);
  seconds_.reserve(capacity_);
  order_.reserve(capacity_);
}

void RecentQuantile::Add(absl::Duration duration) {
  const auto seconds = static_cast<float>(absl::ToDoubleSeconds(duration));
  MutexLock lock(mutex_);
  if (seconds_.size() < capacity_) {
    seconds_.push_back(seconds);
  } else {
    seconds_[next_] = seconds;
    next_ = (next_ + 1) % capacity_;
  }
  ++since_;
  const bool known = nanoseconds_.load(std::memory_order_relaxed) != kUnknown;
  if (seconds_.size() < least_ || (known && since_ < kBetween)) return;
  since_ = 0;
  order_.assign(seconds_.begin(), seconds_.end());
  const double rank = std::ceil(quantile_ * static_cast<double>(order_.size())) - 1;
  const auto at = order_.begin() + static_cast<ptrdiff_t>(std::max(0.0, rank));
  std::nth_element(order_.begin(), at, order_.end());
  nanoseconds_.store(static_cast<int64_t>(std::ceil(static_cast<double>(*at) * 1e9)),
                     std::memory_order_relaxed);
}

absl::Duration RecentQuantile::Value() const {
  const int64_t nanoseconds = nanoseconds_.load(std::memory_order_relaxed);
  return nanoseconds == kUnknown ? absl::InfiniteDuration() : absl::Nanoseconds(nanoseconds);
}

}  // namespace penstock::router
