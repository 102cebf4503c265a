#include "router_service/features/text_grams.h"

#include <algorithm>
#include <cmath>

#include "router_service/features/compatibility_fold.h"

namespace penstock::router {
namespace {

constexpr uint64_t kFnvOffset = 0xCBF29CE484222325ull;
constexpr uint64_t kFnvPrime = 0x100000001B3ull;
constexpr uint64_t kPair = 0x9E3779B97F4A7C15ull;  // so that a pair is no word and has an order
constexpr uint64_t kRun = 0xD6E8FEB86659FD93ull;   // so that a run is no word

uint64_t Mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

// A code point from `text` at `at`, which moves past it; U+FFFD for one byte that begins none.
// Overlong forms, surrogates and what lies beyond U+10FFFF are none.
uint32_t NextCodePoint(absl::string_view text, size_t& at) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(at);
  const size_t length = first < 0x80 ? 1 : first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  constexpr uint32_t kReplacement = 0xFFFD;
  if (length == 1) return text[at++];
  if (first < 0xC2 || first > 0xF4 || text.size() - at < length) return ++at, kReplacement;
  uint32_t point = first & (0xFF >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xC0) != 0x80) return ++at, kReplacement;
    point = point << 6 | (byte(at + i) & 0x3F);
  }
  const uint32_t least = length == 2 ? 0x80 : length == 3 ? 0x800 : 0x10000;
  if (point < least || point > 0x10FFFF || (point >= 0xD800 && point < 0xE000)) {
    return ++at, kReplacement;
  }
  at += length;
  return point;
}

bool Vanishes(uint32_t c) {
  return (c < 0x20 && c != '\t' && c != '\n' && c != '\r' && c != '\f' && c != '\v') ||
         (c >= 0x7F && c < 0xA0 && c != 0x85) || c == 0xAD || (c >= 0x200B && c <= 0x200F) ||
         (c >= 0x202A && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) ||
         (c >= 0xFE00 && c <= 0xFE0F) || c == 0xFEFF || (c >= 0xE0000 && c <= 0xE01EF);
}

bool IsSpace(uint32_t c) {
  return c == ' ' || (c >= '\t' && c <= '\r') || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

uint32_t Fold(uint32_t c) {
  if (c >= 0xFF01 && c <= 0xFF5E) c -= 0xFF01 - '!';
  if (c >= 'A' && c <= 'Z') return c + 32;
  if (c >= 0xC0 && c <= 0xDE && c != 0xD7) return c + 32;           // Latin-1
  if (c >= 0x391 && c <= 0x3AB && c != 0x3A2) return c + 32;        // Greek
  if (c >= 0x410 && c <= 0x42F) return c + 32;                      // Cyrillic
  if (c >= 0x400 && c <= 0x40F) return c + 80;
  return c;
}

uint64_t HashPoint(uint32_t c) {
  uint64_t h = kFnvOffset;
  const auto add = [&h](uint32_t byte) { h = (h ^ byte) * kFnvPrime; };
  if (c < 0x80) {
    add(c);
  } else if (c < 0x800) {
    add(0xC0 | c >> 6);
    add(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    add(0xE0 | c >> 12);
    add(0x80 | (c >> 6 & 0x3F));
    add(0x80 | (c & 0x3F));
  } else {
    add(0xF0 | c >> 18);
    add(0x80 | (c >> 12 & 0x3F));
    add(0x80 | (c >> 6 & 0x3F));
    add(0x80 | (c & 0x3F));
  }
  return h;
}

// Whether a Latin letter comes next, behind at most a few that only look like one.
bool LatinFollows(absl::string_view text, size_t at) {
  constexpr int kMostLookalikes = 16;
  for (int i = 0; i < kMostLookalikes && at < text.size(); ++i) {
    const uint32_t c = NextCodePoint(text, at);
    if (Vanishes(c) || LatinLookalike(c) != 0) continue;
    const FoldedCharacter folded = FoldCompatibility(c);
    const uint32_t first = folded.size == 0 ? 0 : Fold(folded.points[0]);
    return first >= 'a' && first <= 'z';
  }
  return false;
}

bool IsCodeMarker(uint32_t c) {
  return c == '{' || c == '}' || c == ';' || c == '_' || c == '#' || c == '`' || c == '<' ||
         c == '>' || c == '[' || c == ']';
}
bool IsMathMarker(uint32_t c) {
  return c == '=' || c == '+' || c == '*' || c == '^' || c == '\\' || c == '$' || c == '/' ||
         (c >= 0x2200 && c <= 0x22FF) || c == 0xB1 || c == 0xD7 || c == 0xF7 || c == 0x221A;
}

void CountScript(uint32_t c, SurfaceCounts& counts) {
  if (c < 0x80) return;
  if (c < 0x250 || (c >= 0x1E00 && c < 0x1F00)) {
    ++counts.latin;
  } else if (c >= 0x370 && c < 0x530) {
    ++counts.cyrillic_greek;
  } else if ((c >= 0x3040 && c < 0x3400) || (c >= 0x3400 && c < 0xA000) ||
             (c >= 0xAC00 && c < 0xD7B0) || (c >= 0x20000 && c < 0x32000)) {
    ++counts.east_asian;
  } else {
    ++counts.other_script;
  }
}

}  // namespace

std::array<float, SurfaceCounts::kDimension> SurfaceCounts::Values() const {
  const auto logarithm = [](size_t n) {
    return static_cast<float>(std::log1p(static_cast<double>(n)) / 8);
  };
  const double all = static_cast<double>(
      std::max<size_t>(1, letters + digits + symbols));
  const auto share = [all](size_t n) { return static_cast<float>(static_cast<double>(n) / all); };
  return {logarithm(bytes),   logarithm(tokens), logarithm(lines), logarithm(questions),
          logarithm(digits),  logarithm(code),   logarithm(math),  share(upper),
          share(digits),      share(symbols),    share(code),      share(math),
          share(latin),       share(cyrillic_greek), share(east_asian), share(other_script)};
}

void TextGrams::AppendRuns(absl::string_view word, std::vector<uint32_t>& buckets) const {
  for (size_t at = 0; at + character_ngrams_ <= word.size(); ++at) {
    uint64_t h = kRun;
    for (const char c : word.substr(at, character_ngrams_)) {
      h = (h ^ static_cast<uint8_t>(c | 32)) * kFnvPrime;
    }
    buckets.push_back(static_cast<uint32_t>(Mix(h) >> shift_));
  }
}

void TextGrams::Append(absl::string_view text, std::vector<uint32_t>& buckets,
                       SurfaceCounts* counts) const {
  uint64_t before = 0;
  bool have_before = false;
  SurfaceCounts seen;
  const auto token = [&](uint64_t hash) {
    const uint64_t mixed = Mix(hash);
    buckets.push_back(static_cast<uint32_t>(mixed >> shift_));
    if (have_before) {
      buckets.push_back(static_cast<uint32_t>(Mix(before * kPair + mixed) >> shift_));
    }
    before = mixed;
    have_before = true;
    ++seen.tokens;
  };
  uint64_t word = kFnvOffset;
  bool in_word = false;
  char letters[128];  // of the word, for runs; longer words give the runs of their beginning
  size_t word_size = 0;
  const auto end_word = [&] {
    if (!in_word) return;
    token(word);
    if (character_ngrams_ > 0) AppendRuns({letters, word_size}, buckets);
    in_word = false;
    word = kFnvOffset;
    word_size = 0;
  };
  const auto take = [&](uint32_t c) {
    if (Vanishes(c)) return;
    const uint32_t folded = Fold(c);
    if (folded >= 'a' && folded <= 'z') {
      word = (word ^ folded) * kFnvPrime;
      in_word = true;
      if (word_size < sizeof(letters)) letters[word_size++] = static_cast<char>(folded);
      ++seen.letters;
      seen.upper += folded != c;
      return;
    }
    end_word();
    if (IsSpace(c)) {
      ++seen.spaces;
      seen.lines += c == '\n';
      return;
    }
    token(HashPoint(folded));
    if (folded >= '0' && folded <= '9') {
      ++seen.digits;
      return;
    }
    ++seen.symbols;
    seen.questions += folded == '?';
    seen.code += IsCodeMarker(folded);
    seen.math += IsMathMarker(folded);
    CountScript(folded, seen);
  };
  for (size_t at = 0; at < text.size();) {
    uint32_t c = static_cast<uint8_t>(text[at]);
    if (c < 0x80) {
      ++at;
    } else {
      c = NextCodePoint(text, at);
    }
    if (!fold_compatibility_ || c < 0x80) {
      take(c);
      continue;
    }
    const uint32_t latin = LatinLookalike(c);
    if (latin != 0 && (in_word || LatinFollows(text, at))) {
      take(latin);
      continue;
    }
    const FoldedCharacter folded = FoldCompatibility(c);
    for (size_t i = 0; i < folded.size; ++i) take(folded.points[i]);
  }
  end_word();
  if (counts == nullptr) return;
  counts->bytes += text.size();
  counts->tokens += seen.tokens;
  counts->letters += seen.letters;
  counts->upper += seen.upper;
  counts->digits += seen.digits;
  counts->symbols += seen.symbols;
  counts->spaces += seen.spaces;
  counts->lines += seen.lines;
  counts->questions += seen.questions;
  counts->code += seen.code;
  counts->math += seen.math;
  counts->latin += seen.latin;
  counts->cyrillic_greek += seen.cyrillic_greek;
  counts->east_asian += seen.east_asian;
  counts->other_script += seen.other_script;
}

void CountBuckets(uint32_t bits, std::vector<uint32_t>& buckets, std::vector<uint32_t>& spare,
                  std::vector<uint32_t>& indices, std::vector<float>& values) {
  // A radix sort, nine bits a pass: a comparison sort would take most of the extractor's time.
  constexpr uint32_t kDigit = 9;
  spare.resize(buckets.size());
  for (uint32_t shift = 0; shift < bits; shift += kDigit) {
    std::array<uint32_t, 1u << kDigit> start{};
    constexpr uint32_t kMask = (1u << kDigit) - 1;
    for (const uint32_t bucket : buckets) ++start[bucket >> shift & kMask];
    uint32_t sum = 0;
    for (uint32_t& count : start) {
      const uint32_t of_digit = count;
      count = sum;
      sum += of_digit;
    }
    for (const uint32_t bucket : buckets) spare[start[bucket >> shift & kMask]++] = bucket;
    buckets.swap(spare);
  }
  static const std::array<float, 64> kLogarithms = [] {
    std::array<float, 64> table{};
    for (size_t n = 0; n < table.size(); ++n) {
      table[n] = static_cast<float>(std::log1p(static_cast<double>(n)));
    }
    return table;
  }();
  for (size_t at = 0; at < buckets.size();) {
    size_t end = at + 1;
    while (end < buckets.size() && buckets[end] == buckets[at]) ++end;
    indices.push_back(buckets[at]);
    const size_t times = end - at;
    values.push_back(times < kLogarithms.size()
                         ? kLogarithms[times]
                         : static_cast<float>(std::log1p(static_cast<double>(times))));
    at = end;
  }
}

}  // namespace penstock::router
