#include "common/utf8.h"

#include <cstdint>

namespace penstock {

bool IsUtf8(absl::string_view text) {
  const auto* at = reinterpret_cast<const uint8_t*>(text.data());
  const uint8_t* const end = at + text.size();
  const auto continues = [&](int index) { return (at[index] & 0xC0) == 0x80; };
  while (at < end) {
    const uint8_t lead = *at;
    const auto left = end - at;
    if (lead < 0x80) {
      at += 1;
    } else if (lead >= 0xC2 && lead <= 0xDF) {
      if (left < 2 || !continues(1)) return false;
      at += 2;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
      if (left < 3 || !continues(1) || !continues(2)) return false;
      if (lead == 0xE0 && at[1] < 0xA0) return false;  // overlong
      if (lead == 0xED && at[1] > 0x9F) return false;  // surrogate
      at += 3;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
      if (left < 4 || !continues(1) || !continues(2) || !continues(3)) return false;
      if (lead == 0xF0 && at[1] < 0x90) return false;  // overlong
      if (lead == 0xF4 && at[1] > 0x8F) return false;  // beyond U+10FFFF
      at += 4;
    } else {
      return false;
    }
  }
  return true;
}

}  // namespace penstock
