#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"

namespace penstock::router {

// What a character counts as where spellings that look alike are to count alike: letters and digits
// of mathematics, circles, super- and subscripts as plain small ones, ligatures, fractions and
// ellipses as their parts, Latin letters without their accents, typographic quotes and dashes as
// ASCII's, combining accents as nothing. After Unicode's NFKC (Annex 15), of which it is the Latin
// and numeric part, without its tables. Everything else is itself.
struct FoldedCharacter {
  static constexpr size_t kMost = 4;
  std::array<uint32_t, kMost> points{};
  size_t size = 0;  // 0: the character vanishes
};
FoldedCharacter FoldCompatibility(uint32_t c);

// The small Latin letter that a Cyrillic or Greek one looks like; 0: none.
uint32_t LatinLookalike(uint32_t c);

}  // namespace penstock::router
