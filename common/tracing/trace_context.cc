#include "common/tracing/trace_context.h"

namespace penstock {
namespace {

// 00-TRACE-SPAN-FLAGS: version, 32, 16 and 2 digits.
constexpr size_t kTraceAt = 3;
constexpr size_t kSpanAt = 36;
constexpr size_t kFlagsAt = 53;
constexpr size_t kLength = 55;
constexpr char kDigits[] = "0123456789abcdef";

// False unless all of it is lower-case digits; 16 at most.
bool ReadHex(absl::string_view text, uint64_t& value) {
  value = 0;
  for (const char c : text) {
    uint64_t digit = 0;
    if (c >= '0' && c <= '9') {
      digit = static_cast<uint64_t>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      digit = static_cast<uint64_t>(c - 'a') + 10;
    } else {
      return false;
    }
    value = value << 4 | digit;
  }
  return true;
}

void WriteHex(uint64_t value, char* at, int digits) {
  for (int i = digits - 1; i >= 0; --i, value >>= 4) at[i] = kDigits[value & 0xf];
}

void WriteBytes(uint64_t value, char* at) {
  for (int i = 7; i >= 0; --i, value >>= 8) at[i] = static_cast<char>(value & 0xff);
}

}  // namespace

std::string TraceId::ToBytes() const {
  std::string bytes(16, '\0');
  WriteBytes(high, bytes.data());
  WriteBytes(low, bytes.data() + 8);
  return bytes;
}

std::string SpanIdBytes(SpanId id) {
  std::string bytes(8, '\0');
  WriteBytes(id, bytes.data());
  return bytes;
}

std::optional<TraceContext> TraceContext::Parse(absl::string_view text) {
  if (text.size() < kLength || text.size() > kMaxLength) return std::nullopt;
  if (text[2] != '-' || text[kSpanAt - 1] != '-' || text[kFlagsAt - 1] != '-') return std::nullopt;
  uint64_t version = 0;
  uint64_t flags = 0;
  TraceContext context;
  if (!ReadHex(text.substr(0, 2), version) ||
      !ReadHex(text.substr(kTraceAt, 16), context.trace.high) ||
      !ReadHex(text.substr(kTraceAt + 16, 16), context.trace.low) ||
      !ReadHex(text.substr(kSpanAt, 16), context.span) ||
      !ReadHex(text.substr(kFlagsAt, 2), flags)) {
    return std::nullopt;
  }
  if (version == 0xff || !context.trace.valid() || context.span == 0) return std::nullopt;
  if (text.size() > kLength && (version == 0 || text[kLength] != '-')) return std::nullopt;
  const uint64_t known = version == 0 ? kSampled | kRandom : kSampled;
  context.flags = static_cast<uint8_t>(flags & known);
  return context;
}

std::string TraceContext::ToString() const {
  std::string text(kLength, '-');
  WriteHex(0, text.data(), 2);
  WriteHex(trace.high, text.data() + kTraceAt, 16);
  WriteHex(trace.low, text.data() + kTraceAt + 16, 16);
  WriteHex(span, text.data() + kSpanAt, 16);
  WriteHex(flags, text.data() + kFlagsAt, 2);
  return text;
}

}  // namespace penstock
