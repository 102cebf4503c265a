#include "router_service/guards/benign_edits.h"

#include <numeric>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace penstock::router {
namespace {

constexpr char kNoBreakSpace[] = "\xC2\xA0";
constexpr char kJoiner[] = "\xE2\x80\x8D";
constexpr char kSoftHyphen[] = "\xC2\xAD";

bool Sometimes(CounterRandom& random) { return random.Below(3) == 0; }

std::string TitleCase(absl::string_view text) {
  std::string out = absl::AsciiStrToLower(text);
  for (size_t i = 0; i < out.size(); ++i) {
    if (i == 0 || absl::ascii_isspace(static_cast<unsigned char>(out[i - 1]))) {
      out[i] = absl::ascii_toupper(static_cast<unsigned char>(out[i]));
    }
  }
  return out;
}

std::string WiderSpaces(absl::string_view text, CounterRandom& random) {
  std::string out = " ";
  for (const char c : text) {
    out.push_back(c);
    if (c == ' ' && Sometimes(random)) out.append(1 + random.Below(3), ' ');
  }
  out.append("  ");
  return out;
}

std::string LineFeeds(absl::string_view text, CounterRandom& random) {
  std::string out;
  for (const char c : text) out.push_back(c == ' ' && Sometimes(random) ? '\n' : c);
  out.push_back('\n');
  return out;
}

std::string HiddenMarks(absl::string_view text, CounterRandom& random) {
  std::string out;
  bool after_letter = false;
  for (const char c : text) {
    const bool letter = absl::ascii_isalpha(static_cast<unsigned char>(c));
    if (c == ' ' && Sometimes(random)) {
      out.append(kNoBreakSpace);
    } else {
      // Within a word only.
      if (letter && after_letter && random.Below(8) == 0) {
        out.append(random.Below(2) == 0 ? kJoiner : kSoftHyphen);
      }
      out.push_back(c);
    }
    after_letter = letter;
  }
  return out;
}

std::string FullWidth(absl::string_view text) {
  std::string out;
  for (const char c : text) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c))) {
      out.push_back(c);
      continue;
    }
    // U+FF01 stands for '!'.
    const uint32_t point = 0xFF01u + static_cast<uint32_t>(c - '!');
    out.push_back(static_cast<char>(0xE0 | (point >> 12)));
    out.push_back(static_cast<char>(0x80 | ((point >> 6) & 0x3F)));
    out.push_back(static_cast<char>(0x80 | (point & 0x3F)));
  }
  return out;
}

// Letters of U+00C0 to U+00FF and their accents; a space where there is none.
constexpr char kBase[] = "AAAAAA CEEEEIIII NOOOOO  UUUUY  aaaaaa ceeeeiiii nooooo  uuuuy y";
constexpr uint16_t kGrave = 0x300, kAcute = 0x301, kCircumflex = 0x302, kTilde = 0x303,
                   kDiaeresis = 0x308, kRing = 0x30A, kCedilla = 0x327;
constexpr uint16_t kAccents[32] = {
    kGrave, kAcute, kCircumflex, kTilde,      kDiaeresis,  kRing,  0,           kCedilla,
    kGrave, kAcute, kCircumflex, kDiaeresis,  kGrave,      kAcute, kCircumflex, kDiaeresis,
    0,      kTilde, kGrave,      kAcute,      kCircumflex, kTilde, kDiaeresis,  0,
    0,      kGrave, kAcute,      kCircumflex, kDiaeresis,  kAcute, 0,           0};

std::string Decomposed(absl::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const uint8_t byte = static_cast<uint8_t>(text[i]);
    if (byte == '\'') {
      out.append("\xE2\x80\x99");
    } else if (byte == '"') {
      out.append("\xE2\x80\x9D");
    } else if (byte == 0xC3 && i + 1 < text.size() && (text[i + 1] & 0xC0) == 0x80) {
      const size_t at = static_cast<uint8_t>(text[++i]) - 0x80u;
      // y with a diaeresis has no capital in the same place.
      const uint16_t accent = at == 63 ? kDiaeresis : kAccents[at % 32];
      if (kBase[at] == ' ') {
        out.append({text[i - 1], text[i]});
        continue;
      }
      out.push_back(kBase[at]);
      out.push_back(static_cast<char>(0xC0 | (accent >> 6)));
      out.push_back(static_cast<char>(0x80 | (accent & 0x3F)));
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

}  // namespace

absl::string_view BenignEditName(BenignEdit edit) {
  switch (edit) {
    case BenignEdit::kUpperCase:
      return "upper case";
    case BenignEdit::kLowerCase:
      return "lower case";
    case BenignEdit::kTitleCase:
      return "title case";
    case BenignEdit::kWiderSpaces:
      return "wider spaces";
    case BenignEdit::kLineFeeds:
      return "line feeds";
    case BenignEdit::kHiddenMarks:
      return "hidden marks";
    case BenignEdit::kFullWidth:
      return "full width";
    case BenignEdit::kDecomposed:
      return "decomposed";
  }
  return "";
}

std::string EditBenignly(absl::string_view text, BenignEdit edit, CounterRandom& random) {
  switch (edit) {
    case BenignEdit::kUpperCase:
      return absl::AsciiStrToUpper(text);
    case BenignEdit::kLowerCase:
      return absl::AsciiStrToLower(text);
    case BenignEdit::kTitleCase:
      return TitleCase(text);
    case BenignEdit::kWiderSpaces:
      return WiderSpaces(text, random);
    case BenignEdit::kLineFeeds:
      return LineFeeds(text, random);
    case BenignEdit::kHiddenMarks:
      return HiddenMarks(text, random);
    case BenignEdit::kFullWidth:
      return FullWidth(text);
    case BenignEdit::kDecomposed:
      return Decomposed(text);
  }
  return std::string(text);
}

double FlipRate::rate() const {
  if (texts == 0) return 0;
  const size_t all = std::accumulate(flips.begin(), flips.end(), size_t{0});
  return static_cast<double>(all) / static_cast<double>(tries());
}

FlipRate MeasureFlipRate(absl::Span<const std::string> texts,
                         const std::function<size_t(absl::string_view)>& decide, uint64_t seed) {
  FlipRate result;
  result.texts = texts.size();
  for (size_t i = 0; i < texts.size(); ++i) {
    CounterRandom random(seed, i);
    const size_t undisturbed = decide(texts[i]);
    for (size_t kind = 0; kind < kBenignEdits; ++kind) {
      const std::string edited = EditBenignly(texts[i], static_cast<BenignEdit>(kind), random);
      result.flips[kind] += decide(edited) != undisturbed ? 1 : 0;
    }
  }
  return result;
}

}  // namespace penstock::router
