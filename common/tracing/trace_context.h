#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace penstock {

// A trace's 16 bytes, big-endian in two halves; all zero: none.
struct TraceId {
  uint64_t high = 0;
  uint64_t low = 0;
  bool valid() const { return high != 0 || low != 0; }
  bool operator==(const TraceId&) const = default;
  // 16 bytes, as OTLP has them.
  std::string ToBytes() const;
};

// A span's 8 bytes, big-endian; 0: none.
using SpanId = uint64_t;
std::string SpanIdBytes(SpanId id);

// What `traceparent` says (W3C Trace Context, level 2, section 3.2). `tracestate` is not passed on:
// it belongs to the caller's vendor, and nothing here would add to it.
struct TraceContext {
  static constexpr uint8_t kSampled = 0x01;
  // The trace's id was drawn at random (level 2, section 3.2.2.5.2).
  static constexpr uint8_t kRandom = 0x02;
  // A header longer than this is no traceparent; of versions that are not known yet, 55 characters
  // are read, and what follows is left out.
  static constexpr size_t kMaxLength = 128;

  TraceId trace;
  SpanId span = 0;  // the caller's
  uint8_t flags = 0;

  bool sampled() const { return (flags & kSampled) != 0; }
  TraceContext WithSpan(SpanId of) const { return {trace, of, flags}; }

  // Unset for anything but a valid one: a version of ff, an id of zeros, upper case, 00 with more
  // than it has. Bits of the flags that are not known are dropped, as is all but `sampled` of a
  // later version.
  static std::optional<TraceContext> Parse(absl::string_view traceparent);
  // Version 00.
  std::string ToString() const;
  bool operator==(const TraceContext&) const = default;
};

}  // namespace penstock
