#include "common/tracing/trace_sampling.h"

#include <algorithm>
#include <cmath>

namespace penstock {

ShareSampler::ShareSampler(double share)
    : threshold_(static_cast<uint64_t>(std::llround((1 - share) * 0x1.0p56))) {}

TraceLimit::TraceLimit(double per_second, absl::Time now)
    : per_second_(per_second), most_(std::max(1.0, per_second)), at_(now), tokens_(most_) {}

bool TraceLimit::TryTake(absl::Time now) {
  MutexLock lock(mutex_);
  if (now > at_) {
    tokens_ = std::min(most_, tokens_ + per_second_ * absl::ToDoubleSeconds(now - at_));
    at_ = now;
  }
  if (tokens_ < 1) return false;
  tokens_ -= 1;
  return true;
}

}  // namespace penstock
