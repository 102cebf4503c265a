#pragma once

#include <cstdint>

namespace penstock {

// Random numbers as a function of (seed, sequence, draw): no state is shared between decisions, so a
// decision draws the same numbers wherever and whenever it is replayed. SplitMix64 finaliser over a
// Weyl sequence (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014).
class CounterRandom {
 public:
  CounterRandom(uint64_t seed, uint64_t sequence)
      : key_(Mix(seed + kWeyl) ^ Mix(sequence * kWeyl + 1)) {}

  uint64_t Bits() { return Mix(key_ + kWeyl * ++draw_); }
  // In [0, 1), 53 bits.
  double Uniform() { return static_cast<double>(Bits() >> 11) * 0x1.0p-53; }
  // In [0, n); n > 0. Multiply-shift: the bias is below n / 2^64.
  uint64_t Below(uint64_t n) {
    return static_cast<uint64_t>((static_cast<__uint128_t>(Bits()) * n) >> 64);
  }

 private:
  static constexpr uint64_t kWeyl = 0x9E3779B97F4A7C15ull;
  static uint64_t Mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  }

  const uint64_t key_;
  uint64_t draw_ = 0;
};

}  // namespace penstock
