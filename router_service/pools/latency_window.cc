#include "router_service/pools/latency_window.h"

#include <algorithm>
#include <cmath>

namespace penstock::router {
namespace {
// 512: the 0.99 quantile still has five samples above it, and a window is 2 KiB.
constexpr size_t kSamples = 512;
}  // namespace

void LatencyWindow::Add(absl::Duration latency) {
  const float seconds = static_cast<float>(absl::ToDoubleSeconds(latency));
  MutexLock lock(mutex_);
  if (seconds_.size() < kSamples) {
    seconds_.push_back(seconds);
    return;
  }
  seconds_[next_] = seconds;
  next_ = (next_ + 1) % kSamples;
}

absl::Duration LatencyWindow::Quantile(double q) const {
  std::vector<float> copy;
  {
    MutexLock lock(mutex_);
    copy = seconds_;
  }
  if (copy.empty()) return absl::ZeroDuration();
  const double rank = std::ceil(q * static_cast<double>(copy.size())) - 1;
  const size_t index =
      std::min(copy.size() - 1, static_cast<size_t>(std::max(0.0, rank)));
  std::nth_element(copy.begin(), copy.begin() + static_cast<ptrdiff_t>(index), copy.end());
  return absl::Seconds(static_cast<double>(copy[index]));
}

}  // namespace penstock::router
