#pragma once

#include <cstddef>

namespace penstock::router {

// Sum of a[j] b[j] in double. Four chains, because additions that wait for each other are what a
// scalar product is slow by; their order is fixed, so the bits are always the same.
template <class A, class B>
double Dot(const A* a, const B* b, size_t count) {
  double sum[4] = {0, 0, 0, 0};
  size_t j = 0;
  for (; j + 4 <= count; j += 4) {
    for (size_t c = 0; c < 4; ++c) {
      sum[c] += static_cast<double>(a[j + c]) * static_cast<double>(b[j + c]);
    }
  }
  for (; j < count; ++j) sum[0] += static_cast<double>(a[j]) * static_cast<double>(b[j]);
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

}  // namespace penstock::router
