#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"

namespace penstock::router {

// A prompt's length, kinds of character and markers, counted on the way through it.
struct SurfaceCounts {
  size_t bytes = 0, tokens = 0, letters = 0, upper = 0, digits = 0, symbols = 0, spaces = 0;
  size_t lines = 0, questions = 0, code = 0, math = 0;
  size_t latin = 0, cyrillic_greek = 0, east_asian = 0, other_script = 0;  // beyond ASCII

  static constexpr size_t kDimension = 16;
  // Logarithms of counts, and shares; each of the order of 1.
  std::array<float, kDimension> Values() const;
};

// A text as hashed words and pairs of neighbouring words.
//
// The text is canonicalised on the way, so that spellings that look alike count alike: A-Z and the
// capitals of Latin-1, Greek and Cyrillic become small, full-width forms of ASCII become ASCII,
// controls, soft hyphens, joiners, marks of direction, variation selectors and the byte-order mark
// vanish, spaces of all kinds separate. A byte that is no UTF-8 counts as U+FFFD.
//
// A token is a run of a-z, one digit, or one other character. Hashing is FNV-1a over the token's
// canonical UTF-8, then SplitMix64's finaliser, of which the highest bits count: the same on every
// platform.
class TextGrams {
 public:
  // bits in [1, 31]; character_ngrams: 0, or the length of runs within a word that count too.
  // fold_compatibility: characters count as FoldCompatibility has them, and a Cyrillic or Greek
  // letter as the Latin one that it looks like where a Latin one stands before it or follows.
  TextGrams(uint32_t bits, uint32_t character_ngrams, bool fold_compatibility = false)
      : shift_(64 - bits),
        character_ngrams_(character_ngrams),
        fold_compatibility_(fold_compatibility) {}

  // Appends a bucket per word, pair and run, in order. No pair spans two calls.
  void Append(absl::string_view text, std::vector<uint32_t>& buckets, SurfaceCounts* counts) const;

 private:
  void AppendRuns(absl::string_view word, std::vector<uint32_t>& buckets) const;

  const uint32_t shift_;
  const uint32_t character_ngrams_;
  const bool fold_compatibility_;
};

// Sorts buckets below 2^bits, and counts: indices strictly ascending, values log(1 + times).
// `buckets` and `spare` are left in no particular state.
void CountBuckets(uint32_t bits, std::vector<uint32_t>& buckets, std::vector<uint32_t>& spare,
                  std::vector<uint32_t>& indices, std::vector<float>& values);

}  // namespace penstock::router
