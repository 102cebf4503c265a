#pragma once

#include <cstddef>
#include <vector>

#include "absl/time/time.h"
#include "common/mutex.h"

namespace penstock::router {

// Quantiles of the last 512 latencies. Thread-safe.
class LatencyWindow {
 public:
  void Add(absl::Duration latency);
  // Zero when nothing was added.
  absl::Duration Quantile(double q) const;

 private:
  mutable Mutex mutex_;
  std::vector<float> seconds_ ABSL_GUARDED_BY(mutex_);
  size_t next_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace penstock::router
