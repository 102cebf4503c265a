#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/random.h"

namespace penstock::router {

// Changes of a prompt that leave its meaning alone.
enum class BenignEdit : uint8_t {
  kUpperCase,
  kLowerCase,
  kTitleCase,
  kWiderSpaces,  // some spaces doubled, some around the text
  kLineFeeds,    // some spaces become line feeds
  kHiddenMarks,  // no-break spaces, zero-width joiners and soft hyphens
  kFullWidth,    // full-width forms of ASCII letters and digits
  kDecomposed,   // accents of Latin-1 letters behind their letter; typographic quotes and dashes
};
inline constexpr size_t kBenignEdits = 8;
absl::string_view BenignEditName(BenignEdit edit);

// `text` is UTF-8; what is not passes as it is.
std::string EditBenignly(absl::string_view text, BenignEdit edit, CounterRandom& random);

// How often a decision about a text changes under such edits: one of each kind a text.
struct FlipRate {
  size_t texts = 0;
  std::array<size_t, kBenignEdits> flips{};  // by edit

  size_t tries() const { return texts * kBenignEdits; }
  double rate() const;
};
FlipRate MeasureFlipRate(absl::Span<const std::string> texts,
                         const std::function<size_t(absl::string_view)>& decide, uint64_t seed);

}  // namespace penstock::router
