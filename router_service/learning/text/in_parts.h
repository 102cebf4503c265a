#pragma once

#include <algorithm>
#include <cstddef>
#include <thread>
#include <vector>

#include "common/cpu_quota.h"

namespace penstock::router {

// Calls fn(first, last) over parts of [0, count), one per core and each of `least` at least, and
// waits for all. What fn computes for an entry must not depend on the part, so that the number of
// cores does not show in results.
template <typename Fn>
void InParts(size_t count, size_t least, Fn fn) {
  static const size_t cores = std::min(UsableCores(), 16);
  const size_t parts = std::clamp<size_t>(count / std::max<size_t>(least, 1), 1, cores);
  std::vector<std::thread> threads;
  for (size_t part = 1; part < parts; ++part) {
    threads.emplace_back([=] { fn(count * part / parts, count * (part + 1) / parts); });
  }
  fn(0, count / parts);
  for (std::thread& thread : threads) thread.join();
}

}  // namespace penstock::router
