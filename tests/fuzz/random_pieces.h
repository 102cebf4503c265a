#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "common/bytes.h"
#include "common/random.h"

namespace penstock {

// `data` cut in pieces of 1 to `longest` bytes, each in memory of its own, so that a sanitizer sees
// every step beyond one.
inline Bytes RandomPieces(const std::string& data, size_t longest, CounterRandom& random) {
  Bytes pieces;
  for (size_t at = 0; at < data.size();) {
    const size_t size = std::min<size_t>(1 + random.Below(longest), data.size() - at);
    pieces.Append(data.substr(at, size));
    at += size;
  }
  return pieces;
}

}  // namespace penstock
