#include "common/logging/log_line.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/utf8.h"

namespace penstock {
namespace {

// Kept free for ` cut=true` or `,"cut":true}` and the newline.
constexpr size_t kReserve = 16;
constexpr char kCutMark[] = "...";

// How many bytes the character that `text` begins with has; 0: these are no UTF-8.
size_t CharacterBytes(absl::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const size_t bytes = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (bytes > text.size() || !IsUtf8(text.substr(0, bytes))) return 0;
  return bytes;
}

uint32_t CodePoint(absl::string_view character) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(character[i]); };
  if (character.size() == 1) return byte(0);
  uint32_t code = byte(0) & (0xFFu >> (character.size() + 1));
  for (size_t i = 1; i < character.size(); ++i) code = code << 6 | (byte(i) & 0x3Fu);
  return code;
}

// What moves a terminal's cursor, ends a line somewhere, or turns the direction of what follows.
bool MisleadsReaders(uint32_t code) {
  return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x2028 || code == 0x2029 ||
         (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
}

std::string Escaped(absl::string_view character) {
  const uint32_t code = CodePoint(character);
  if (code == '"') return "\\\"";
  if (code == '\\') return "\\\\";
  if (code == '\n') return "\\n";
  if (code == '\r') return "\\r";
  if (code == '\t') return "\\t";
  // Both ranges lie within the characters that four hex digits hold.
  if (MisleadsReaders(code)) return absl::StrFormat("\\u%04x", code);
  return std::string(character);
}

// As a JSON string, quotes included; RFC 8259, section 7. Bytes that are no UTF-8 become U+FFFD.
std::string Quoted(absl::string_view text, size_t max_bytes) {
  std::string out = "\"";
  while (!text.empty()) {
    const size_t bytes = CharacterBytes(text);
    const std::string next = bytes == 0 ? "\\ufffd" : Escaped(text.substr(0, bytes));
    if (out.size() + next.size() > max_bytes) {
      out += kCutMark;
      break;
    }
    out += next;
    text.remove_prefix(std::max<size_t>(bytes, 1));
  }
  out += '"';
  return out;
}

bool NeedsNoQuotes(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c > ' ' && c < 0x7F && c != '"' && c != '=' && c != '\\';
  });
}

}  // namespace

LogLine::LogLine(LogFormat format) : format_(format) {
  line_.reserve(256);
  if (format_ == LogFormat::kJson) line_.push_back('{');
}

void LogLine::Text(absl::string_view key, absl::string_view value, size_t max_bytes) {
  if (format_ == LogFormat::kKeyValue && value.size() <= max_bytes && NeedsNoQuotes(value)) {
    Add(key, value);
  } else {
    Add(key, Quoted(value, max_bytes));
  }
}

void LogLine::Plain(absl::string_view key, absl::string_view value) { Add(key, value); }

void LogLine::Add(absl::string_view key, absl::string_view value) {
  const bool first = line_.size() <= 1;
  std::string field = format_ == LogFormat::kJson
                          ? absl::StrCat(first ? "" : ",", "\"", key, "\":", value)
                          : absl::StrCat(first ? "" : " ", key, "=", value);
  if (line_.size() + field.size() + kReserve > kMaxLineBytes) {
    cut_ = true;
    return;
  }
  line_ += field;
}

std::string LogLine::Finish() {
  if (cut_) line_ += format_ == LogFormat::kJson ? ",\"cut\":true" : " cut=true";
  line_ += format_ == LogFormat::kJson ? "}\n" : "\n";
  return std::move(line_);
}

}  // namespace penstock
