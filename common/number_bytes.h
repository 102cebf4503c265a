#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace penstock {

// A number in a key or an entry: eight bytes, the lowest first.
inline void AppendNumber(std::string& out, uint64_t value) {
  for (int shift = 0; shift < 64; shift += 8) out.push_back(static_cast<char>(value >> shift));
}

// From the front; false where there are too few bytes.
inline bool TakeNumber(absl::string_view& from, uint64_t& value) {
  if (from.size() < sizeof(value)) return false;
  value = 0;
  for (size_t i = 0; i < sizeof(value); ++i) {
    value |= static_cast<uint64_t>(static_cast<unsigned char>(from[i])) << (8 * i);
  }
  from.remove_prefix(sizeof(value));
  return true;
}

}  // namespace penstock
