#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

#include "kernels/device/aligned_buffer.h"

namespace penstock::kernels {

// Uniform in [low, high], the same for the same seed.
inline std::vector<float> RandomFloats(int64_t count, uint32_t seed, float low, float high) {
  std::minstd_rand bits(seed);
  std::uniform_real_distribution<float> uniform(low, high);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& v : values) v = uniform(bits);
  return values;
}

// On cache lines, and on huge pages where large, as the kernels' own buffers are.
inline AlignedBuffer AlignedFloats(const std::vector<float>& values) {
  AlignedBuffer buffer(values.size() * sizeof(float));
  std::copy(values.begin(), values.end(), buffer.floats());
  return buffer;
}

}  // namespace penstock::kernels
