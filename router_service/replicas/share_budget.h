#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace penstock::router {

// Lets something happen at most for a share of other things: each of those earns `share`, each of
// it takes 1, and at most `most` is kept. It starts empty, so that at any moment what was taken is
// at most share times what was earned for. Thread-safe, without a lock.
class ShareBudget {
 public:
  // `share` in [0, 1], to a millionth; `most` at least 1.
  ShareBudget(double share, double most)
      : share_(static_cast<int64_t>(share * kOne)), most_(static_cast<int64_t>(most * kOne)) {}

  void Earn() {
    int64_t kept = kept_.load(std::memory_order_relaxed);
    while (!kept_.compare_exchange_weak(kept, std::min(most_, kept + share_),
                                        std::memory_order_relaxed)) {
    }
  }
  // False: there is not enough.
  bool TryTake() {
    int64_t kept = kept_.load(std::memory_order_relaxed);
    while (kept >= kOne) {
      if (kept_.compare_exchange_weak(kept, kept - kOne, std::memory_order_relaxed)) return true;
    }
    return false;
  }

 private:
  static constexpr int64_t kOne = 1'000'000;
  const int64_t share_;
  const int64_t most_;
  std::atomic<int64_t> kept_{0};
};

}  // namespace penstock::router
