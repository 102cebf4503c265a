#include "common/logging/request_log.h"

#include "common/logging/log.h"

namespace penstock {
namespace {

// Of what a caller wrote, enough to find it by; texts of ours say what is wrong first.
constexpr size_t kMaxNameBytes = 128;
constexpr size_t kMaxReasonBytes = 256;

struct Kind {
  LogLevel level;
  const char* event;
};

Kind KindOf(const RequestEnd& end) {
  if (end.status.ok() || !end.decided_here) return {LogLevel::kDebug, "request_answered"};
  switch (end.status.code()) {
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kDataLoss:
      return {LogLevel::kError, "request_failed"};
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kCancelled:
      return {LogLevel::kDebug, "request_invalid"};
    // An event of its own: strangers must not use up the lines of those who are known.
    case absl::StatusCode::kUnauthenticated:
      return {LogLevel::kInfo, "request_of_stranger"};
    default:
      return {LogLevel::kInfo, "request_refused"};
  }
}

}  // namespace

void LogRequest(const RequestEnd& end) {
  const Kind kind = KindOf(end);
  if (!EventLog::OfProcess().Writes(kind.level)) return;
  LogEvent event(kind.level, kind.event, end.service);
  const auto add = [&](absl::string_view key, absl::string_view value, size_t max_bytes) {
    if (!value.empty()) event.WithUpTo(max_bytes, key, value);
  };
  add("request_id", end.request_id, kMaxNameBytes);
  add("pool", end.pool, kMaxNameBytes);
  add("tenant", end.tenant, kMaxNameBytes);
  event.With("code", absl::StatusCodeToString(end.status.code()));
  add("reason", end.status.message(), kMaxReasonBytes);
  event.With("latency_seconds", absl::ToDoubleSeconds(end.latency));
}

}  // namespace penstock
