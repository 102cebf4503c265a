#pragma once

#include <atomic>
#include <cstdint>

#include "common/random.h"
#include "common/tracing/trace_context.h"

namespace penstock {

// Ids of traces and spans. Two halves from two seeds: 128 bits that differ between services that
// were seeded apart. Thread-safe.
class TraceIds {
 public:
  TraceIds(uint64_t seed_high, uint64_t seed_low) : seed_high_(seed_high), seed_low_(seed_low) {}

  TraceId NextTrace() {
    const uint64_t n = next_.fetch_add(1, std::memory_order_relaxed);
    TraceId id{CounterRandom(seed_high_, n).Bits(), CounterRandom(seed_low_, n).Bits()};
    if (!id.valid()) id.low = 1;
    return id;
  }
  SpanId NextSpan() {
    const uint64_t n = next_.fetch_add(1, std::memory_order_relaxed);
    const SpanId id = CounterRandom(seed_low_ ^ seed_high_, n).Bits();
    return id == 0 ? 1 : id;
  }

 private:
  const uint64_t seed_high_;
  const uint64_t seed_low_;
  std::atomic<uint64_t> next_{1};
};

}  // namespace penstock
