#pragma once

#include <array>
#include <atomic>
#include <cstddef>

namespace penstock::router {

// Series of one family that differ in a label of N values, each added when it is first told: adding
// takes the family's lock and copies labels, which requests are not to wait for. Thread-safe.
template <typename Metric, size_t N>
class LazySeries {
 public:
  // `make` returns the same for one value, however often it is asked, as a family does.
  template <typename Make>
  Metric& Get(size_t value, Make make) {
    Metric* known = series_[value].load(std::memory_order_acquire);
    if (known == nullptr) {
      known = &make();
      series_[value].store(known, std::memory_order_release);
    }
    return *known;
  }

 private:
  std::array<std::atomic<Metric*>, N> series_{};
};

}  // namespace penstock::router
