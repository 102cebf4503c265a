#include "gateway/forwarding/latency_window.h"

#include <algorithm>
#include <cmath>

namespace penstock::gateway {
namespace {

constexpr double kBucketsPerOctave = 4;
constexpr uint32_t kFewest = 100;

}  // namespace

void LatencyWindow::Add(absl::Duration latency) {
  const double us = std::max(1.0, absl::ToDoubleMicroseconds(latency));
  const int bucket =
      std::min(kBuckets - 1, static_cast<int>(std::log2(us) * kBucketsPerOctave));
  ++newer_[bucket];
  if (++newer_count_ < half_) return;
  older_ = newer_;
  older_count_ = newer_count_;
  newer_.fill(0);
  newer_count_ = 0;
}

std::optional<absl::Duration> LatencyWindow::Quantile(double q) const {
  const uint32_t count = newer_count_ + older_count_;
  if (count < kFewest) return std::nullopt;
  const auto rank = static_cast<uint32_t>(std::ceil(q * count));
  uint32_t seen = 0;
  for (int bucket = 0; bucket < kBuckets; ++bucket) {
    seen += newer_[bucket] + older_[bucket];
    if (seen >= rank) return absl::Microseconds(std::exp2((bucket + 1) / kBucketsPerOctave));
  }
  return absl::Microseconds(std::exp2(kBuckets / kBucketsPerOctave));
}

}  // namespace penstock::gateway
