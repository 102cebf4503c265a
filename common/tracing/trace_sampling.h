#pragma once

#include <cstdint>

#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/tracing/trace_context.h"

namespace penstock {

// Draws a share of all traces from their ids, so that whoever has the same share draws the same:
// the lowest 56 bits, which W3C Trace Context level 2 has random, against OpenTelemetry's rejection
// threshold (1 - share) * 2^56.
class ShareSampler {
 public:
  // `share` in [0, 1].
  explicit ShareSampler(double share);
  bool Takes(const TraceId& trace) const { return (trace.low & kRandomBits) >= threshold_; }

 private:
  static constexpr uint64_t kRandomBits = (uint64_t{1} << 56) - 1;
  const uint64_t threshold_;
};

// So many a second at most; of a quiet second, one second's worth is kept, one at least.
// Thread-safe.
class TraceLimit {
 public:
  TraceLimit(double per_second, absl::Time now);
  bool TryTake(absl::Time now);

 private:
  const double per_second_;
  const double most_;
  Mutex mutex_;
  absl::Time at_ ABSL_GUARDED_BY(mutex_);
  double tokens_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock
