#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace penstock::router {

// Characters as tokenizers speak of them, by Unicode 15.

bool IsAscii(absl::string_view text);
// One character of `text` from `at` on, which moves behind it. A byte that is no UTF-8 is U+FFFD.
uint32_t NextCharacter(absl::string_view text, size_t& at);
void AppendUtf8(uint32_t c, std::string& text);

bool IsWhiteSpace(uint32_t c);      // the property White_Space
bool IsPunctuation(uint32_t c);     // P*, and all of ASCII's that are no letter, digit or space
bool IsInvisible(uint32_t c);       // Cc, Cf, Co: controls, format characters, private use
bool IsMark(uint32_t c);            // M*
bool IsNonspacingMark(uint32_t c);  // Mn
bool IsCjkIdeograph(uint32_t c);    // the blocks that BERT takes a character at a time

// Small letters; one character may become two.
void AppendLower(uint32_t c, std::string& text);

enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };
// Appends the decomposition, marks not yet in order.
void AppendDecomposed(uint32_t c, NormalForm form, std::vector<int32_t>& points);
// Canonical order (UAX 15, D108) of each run of marks. Takes n log n where marks were chosen to.
void OrderMarks(std::vector<int32_t>& points);
// Overwrites `to`; `points` is scratch.
void Normalize(absl::string_view text, NormalForm form, std::vector<int32_t>& points,
               std::string& to);

}  // namespace penstock::router
