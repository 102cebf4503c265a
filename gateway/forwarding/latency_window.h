#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "absl/time/time.h"

namespace penstock::gateway {

// Latency quantiles over the last answers, 1,000 to 2,000 unless told: two halves of a histogram,
// the older one forgotten when the newer is full. Buckets grow by 2^(1/4), so a quantile is at most
// 19 % high. Not thread-safe.
class LatencyWindow {
 public:
  static constexpr uint32_t kHalf = 1000;

  // `half`: at least 100.
  explicit LatencyWindow(uint32_t half = kHalf) : half_(half) {}

  void Add(absl::Duration latency);
  // Upper edge of the bucket that holds quantile q; nothing below 100 answers, where a 0.99
  // quantile would rest on less than one of them.
  std::optional<absl::Duration> Quantile(double q) const;

 private:
  static constexpr int kBuckets = 128;  // 1 us to 2^32 us
  using Histogram = std::array<uint32_t, kBuckets>;

  uint32_t half_;
  Histogram newer_{};
  Histogram older_{};
  uint32_t newer_count_ = 0;
  uint32_t older_count_ = 0;
};

}  // namespace penstock::gateway
