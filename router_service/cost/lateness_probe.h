#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace penstock::router {

// Of requests that a pool would refuse because nobody is expected to answer them in time, one in so
// many is asked all the same. An expectation is learnt from answers: where everything is refused,
// nothing is learnt, and experts that have become quick again would be refused for good. As a
// circuit breaker's half-open probe is, this is a request that would have failed anyhow.
//
// Counts requests, not time: equal requests in equal order have equal ends. Thread-safe.
class LatenessProbe {
 public:
  // Refused in a row before one is asked: at first; after many that were late as expected; and
  // after many that were not.
  static constexpr uint32_t kFirst = 32, kMost = 1024, kLeast = 1;

  // One is about to be refused; true: it is to be asked instead.
  bool Take() {
    if (refused_.fetch_add(1, std::memory_order_relaxed) + 1 <
        every_.load(std::memory_order_relaxed)) {
      return false;
    }
    refused_.store(0, std::memory_order_relaxed);
    return true;
  }

  // Somebody was asked since an answer in time was expected: that teaches enough.
  void Asked() {
    if (refused_.load(std::memory_order_relaxed) != 0) {
      refused_.store(0, std::memory_order_relaxed);
    }
  }

  // What became of one that was taken.
  void Ended(bool in_time) {
    const uint32_t every = every_.load(std::memory_order_relaxed);
    every_.store(in_time ? std::max(every / 2, kLeast) : std::min(every * 2, kMost),
                 std::memory_order_relaxed);
  }

 private:
  std::atomic<uint32_t> refused_{0};
  std::atomic<uint32_t> every_{kFirst};
};

}  // namespace penstock::router
