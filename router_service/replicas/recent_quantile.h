#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "common/mutex.h"

namespace penstock::router {

// One quantile of the latest durations, read without a lock: found anew with every sixteenth of
// them. Allocates when it is made, and not after. Thread-safe.
class RecentQuantile {
 public:
  // In [0.5, 0.999], of twenty times as many as leave one above it, 256 to 2048.
  explicit RecentQuantile(double quantile);

  void Add(absl::Duration duration);
  // absl::InfiniteDuration() until there are enough for one to be above it.
  absl::Duration Value() const;

 private:
  const double quantile_;
  const size_t least_;  // durations that it takes
  std::atomic<int64_t> nanoseconds_;
  Mutex mutex_;
  std::vector<float> seconds_ ABSL_GUARDED_BY(mutex_);  // a ring, once it is full
  std::vector<float> order_ ABSL_GUARDED_BY(mutex_);
  size_t capacity_ ABSL_GUARDED_BY(mutex_);
  size_t next_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t since_ ABSL_GUARDED_BY(mutex_) = 0;  // durations since the quantile was found
};

}  // namespace penstock::router
