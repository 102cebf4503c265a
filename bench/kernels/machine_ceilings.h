#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace penstock::kernels {

// What this machine's one core does at most, measured: what a kernel's time is held against.

// Memory that reading has to fetch: larger than the last-level cache, on huge pages.
class ReadProbe {
 public:
  explicit ReadProbe(size_t bytes);
  // Bytes a second of the best of 1, 2, 4 and 8 streams with prefetching 0 to 4 KiB ahead.
  double BytesPerSecond() const;

 private:
  std::vector<char> memory_;
  char* aligned_ = nullptr;
  size_t bytes_ = 0;
};

// Floating-point operations a second (a multiply-add is two) of a loop that touches registers only.
// `isa`: avx2, avx512 (float32) or avx512bf16 (pairs of bfloat16); 0 where the CPU lacks it.
double FlopsPerSecond(std::string_view isa);

// Seconds since some point.
double Now();

}  // namespace penstock::kernels
