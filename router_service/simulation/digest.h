#pragma once

#include <bit>
#include <cstdint>

namespace penstock::router {

// FNV-1a over 64-bit words with a final mix: tells runs apart, hides nothing.
class Digest {
 public:
  void Add(uint64_t word) {
    value_ ^= word;
    value_ *= 0x100000001B3ull;
    value_ ^= value_ >> 29;
  }
  void Add(double number) { Add(std::bit_cast<uint64_t>(number)); }
  uint64_t value() const { return value_; }

 private:
  uint64_t value_ = 0xCBF29CE484222325ull;
};

}  // namespace penstock::router
