#include "router_service/features/compatibility_fold.h"

#include <algorithm>

namespace penstock::router {
namespace {

// Base letters from the first code point on; a space: none of one letter.
struct Range {
  uint32_t first;
  absl::string_view letters;
};
constexpr Range kRanges[] = {
    {0xC0,
     "aaaaaa ceeeeiiii nooooo  uuuuy  aaaaaa ceeeeiiii nooooo  uuuuy y"
     "aaaaaaccccccccdd  eeeeeeeeeegggggggghh  iiiiiiiii   jjkk llllll    nnnnnn   oooooo"
     "  rrrrrrsssssssstttt  uuuuuuuuuuuuwwyyyzzzzzzs"},
    {0x1CD,
     "aaiioouuuuuuuuuu aaaa    ggkkoooo  j   gg  nnaa    aaaaeeeeiiiioooorrrruuuusstt  hh"
     "      aaeeooooooooyy"},
    {0x1E00,
     "aabbbbbbccddddddddddeeeeeeeeeeffgghhhhhhhhhhiiiikkkkkkllllllllmmmmmmnnnnnnnnoooooooo"
     "pppprrrrrrrrssssssssssttttttttuuuuuuuuuuvvvvwwwwwwwwwwxxxxyyzzzzzzhtwy s    "
     "aaaaaaaaaaaaaaaaaaaaaaaaeeeeeeeeeeeeeeeeiiiioooooooooooooooooooooooo"
     "uuuuuuuuuuuuuuyyyyyyyy"},
    {0x2070, "0i  456789     n0123456789      aeox hklmnpst"},
    {0x2100, "  c       ghhhh iill n   pqrrr      z   z kabc eef mo    i           ddeij"},
    {0x2460, "123456789"},
    {0x249C, "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz0"},
};

// Characters of several.
struct Several {
  uint32_t point;
  absl::string_view text;
};
constexpr Several kSeveral[] = {
    {0xBC, "1/4"},   {0xBD, "1/2"},    {0xBE, "3/4"},   {0x132, "ij"},    {0x133, "ij"},
    {0x2025, ".."},  {0x2026, "..."},  {0x203C, "!!"},  {0x2047, "?\?"},  {0x2048, "?!"},
    {0x2049, "!?"},  {0x2116, "no"},   {0x2153, "1/3"}, {0x2154, "2/3"},  {0x2155, "1/5"},
    {0x2156, "2/5"}, {0x2157, "3/5"},  {0x2158, "4/5"}, {0x2159, "1/6"},  {0x215A, "5/6"},
    {0x215B, "1/8"}, {0x215C, "3/8"},  {0x215D, "5/8"}, {0x215E, "7/8"},  {0x2160, "i"},
    {0x2161, "ii"},  {0x2162, "iii"},  {0x2163, "iv"},  {0x2164, "v"},    {0x2165, "vi"},
    {0x2166, "vii"}, {0x2167, "viii"}, {0x2168, "ix"},  {0x2169, "x"},    {0x216A, "xi"},
    {0x216B, "xii"}, {0x2170, "i"},    {0x2171, "ii"},  {0x2172, "iii"},  {0x2173, "iv"},
    {0x2174, "v"},   {0x2175, "vi"},   {0x2176, "vii"}, {0x2177, "viii"}, {0x2178, "ix"},
    {0x2179, "x"},   {0x217A, "xi"},   {0x217B, "xii"}, {0xFB00, "ff"},   {0xFB01, "fi"},
    {0xFB02, "fl"},  {0xFB03, "ffi"},  {0xFB04, "ffl"}, {0xFB05, "st"},   {0xFB06, "st"},
};

// Pairs of code point and letter, ascending.
struct Lookalike {
  uint16_t point;
  char letter;
};
constexpr Lookalike kLookalikes[] = {
    {0x391, 'a'}, {0x392, 'b'}, {0x395, 'e'}, {0x396, 'z'}, {0x397, 'h'}, {0x399, 'i'},
    {0x39A, 'k'}, {0x39C, 'm'}, {0x39D, 'n'}, {0x39F, 'o'}, {0x3A1, 'p'}, {0x3A4, 't'},
    {0x3A5, 'y'}, {0x3A7, 'x'}, {0x3B1, 'a'}, {0x3B9, 'i'}, {0x3BA, 'k'}, {0x3BD, 'v'},
    {0x3BF, 'o'}, {0x3C1, 'p'}, {0x3C5, 'u'}, {0x405, 's'}, {0x406, 'i'}, {0x408, 'j'},
    {0x410, 'a'}, {0x412, 'b'}, {0x415, 'e'}, {0x41A, 'k'}, {0x41C, 'm'}, {0x41D, 'h'},
    {0x41E, 'o'}, {0x420, 'p'}, {0x421, 'c'}, {0x422, 't'}, {0x423, 'y'}, {0x425, 'x'},
    {0x430, 'a'}, {0x435, 'e'}, {0x43A, 'k'}, {0x43E, 'o'}, {0x440, 'p'}, {0x441, 'c'},
    {0x443, 'y'}, {0x445, 'x'}, {0x455, 's'}, {0x456, 'i'}, {0x458, 'j'}, {0x4BB, 'h'},
    {0x4CF, 'l'}, {0x501, 'd'}, {0x51B, 'q'}, {0x51D, 'w'},
};

bool IsCombining(uint32_t c) {
  return (c >= 0x300 && c <= 0x36F) || (c >= 0x1AB0 && c <= 0x1AFF) ||
         (c >= 0x1DC0 && c <= 0x1DFF) || (c >= 0x20D0 && c <= 0x20FF);
}

// One character for one, or c itself.
uint32_t FoldOne(uint32_t c) {
  if (c == 0xB2 || c == 0xB3) return '2' + (c - 0xB2);
  if (c == 0xB9) return '1';
  if (c == 0xAA) return 'a';
  if (c == 0xBA) return 'o';
  if ((c >= 0x2018 && c <= 0x201B) || c == 0x2032 || c == 0x2B9 || c == 0x2BC) return '\'';
  if ((c >= 0x201C && c <= 0x201F) || c == 0x2033 || c == 0xAB || c == 0xBB) return '"';
  if ((c >= 0x2010 && c <= 0x2015) || c == 0x2212) return '-';
  if (c == 0x2044 || c == 0x2215) return '/';
  // Of each alphabet of mathematics 26 capitals, then 26 small letters; of Greek 25 capitals, nabla
  // and 25 small ones, then variants.
  if (c >= 0x1D400 && c <= 0x1D6A3) return 'a' + (c - 0x1D400) % 26;
  if (c >= 0x1D6A8 && c <= 0x1D7CB) {
    const uint32_t at = (c - 0x1D6A8) % 58;
    if (at < 25) return 0x3B1 + at;
    if (at >= 26 && at < 51) return 0x3B1 + (at - 26);
    return c;
  }
  if (c >= 0x1D7CE && c <= 0x1D7FF) return '0' + (c - 0x1D7CE) % 10;
  for (const uint32_t first : {0x1F130u, 0x1F150u, 0x1F170u}) {
    if (c >= first && c < first + 26) return 'a' + (c - first);
  }
  for (const Range& range : kRanges) {
    if (c < range.first || c - range.first >= range.letters.size()) continue;
    const char letter = range.letters[c - range.first];
    return letter == ' ' ? c : static_cast<uint32_t>(letter);
  }
  return c;
}

}  // namespace

FoldedCharacter FoldCompatibility(uint32_t c) {
  FoldedCharacter folded;
  if (IsCombining(c)) return folded;
  const auto several =
      std::lower_bound(std::begin(kSeveral), std::end(kSeveral), c,
                       [](const Several& item, uint32_t point) { return item.point < point; });
  if (several != std::end(kSeveral) && several->point == c) {
    for (const char letter : several->text) {
      folded.points[folded.size++] = static_cast<uint32_t>(letter);
    }
    return folded;
  }
  folded.points[folded.size++] = FoldOne(c);
  return folded;
}

uint32_t LatinLookalike(uint32_t c) {
  const auto found =
      std::lower_bound(std::begin(kLookalikes), std::end(kLookalikes), c,
                       [](const Lookalike& item, uint32_t point) { return item.point < point; });
  if (found == std::end(kLookalikes) || found->point != c) return 0;
  return static_cast<uint32_t>(found->letter);
}

}  // namespace penstock::router
