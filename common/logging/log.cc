#include "common/logging/log.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <utility>

#include "absl/time/time.h"

namespace penstock {
namespace {

constexpr double kStrangersLinesPerSecond = 1;

const char* LevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "";
}

// What stderr does not take is lost: there is nobody to tell.
void WriteToStderr(absl::string_view line) {
  while (!line.empty()) {
    const ssize_t written = write(STDERR_FILENO, line.data(), line.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    line.remove_prefix(static_cast<size_t>(written));
  }
}

// Never destroyed: libraries log until the process has ended.
EventLog& StderrLog() {
  static const RealClock& clock = *new RealClock();
  static EventLog& log = *new EventLog("penstock", clock, &WriteToStderr);
  return log;
}

// Null: stderr's.
std::atomic<EventLog*>& OtherLog() {
  static std::atomic<EventLog*> log{nullptr};
  return log;
}

}  // namespace

EventLog::EventLog(std::string service, const Clock& clock,
                   std::function<void(absl::string_view line)> write)
    : service_(std::move(service)), clock_(clock), write_(std::move(write)) {
  Configure(LogOptions());
}

EventLog& EventLog::OfProcess() {
  EventLog* const other = OtherLog().load(std::memory_order_acquire);
  return other != nullptr ? *other : StderrLog();
}

EventLog* EventLog::SetOfProcess(EventLog* log) {
  return OtherLog().exchange(log, std::memory_order_acq_rel);
}

void EventLog::SetService(absl::string_view service) { service_ = std::string(service); }

void EventLog::Configure(const LogOptions& options) {
  level_.store(static_cast<int>(options.level), std::memory_order_relaxed);
  format_.store(options.format, std::memory_order_relaxed);
  max_lines_per_second_.store(options.max_lines_per_second, std::memory_order_relaxed);
}

LogOptions EventLog::options() const {
  return {format_.load(std::memory_order_relaxed),
          static_cast<LogLevel>(level_.load(std::memory_order_relaxed)),
          max_lines_per_second_.load(std::memory_order_relaxed)};
}

std::optional<LogLine> EventLog::Begin(LogLevel level, absl::string_view event,
                                       absl::string_view service, LogRule rule) {
  const bool any_level = rule == LogRule::kAudit || rule == LogRule::kAlways;
  if (!any_level && !Writes(level)) return std::nullopt;
  const absl::Time now = clock_.Now();
  uint64_t suppressed = 0;
  if (rule != LogRule::kAlways) {
    double most = max_lines_per_second_.load(std::memory_order_relaxed);
    if (rule == LogRule::kStranger) most = std::min(most, kStrangersLinesPerSecond);
    // Services of one process do not take each other's lines.
    const auto admitted = service.empty()
                              ? limits_.Admit(event, most, now)
                              : limits_.Admit(absl::StrCat(service, " ", event), most, now);
    if (!admitted.has_value()) return std::nullopt;
    suppressed = *admitted;
  }
  LogLine line(format_.load(std::memory_order_relaxed));
  line.Text("time", absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", now, absl::UTCTimeZone()));
  line.Text("level", LevelName(level));
  line.Text("service", service.empty() ? absl::string_view(service_) : service);
  line.Text("event", event);
  if (suppressed > 0) line.Plain("suppressed", absl::StrCat(suppressed));
  return line;
}

void EventLog::Write(const std::string& line) {
  MutexLock lock(write_mutex_);
  write_(line);
}

LogEvent::LogEvent(LogLevel level, absl::string_view event, absl::string_view service, LogRule rule)
    : log_(EventLog::OfProcess()), line_(log_.Begin(level, event, service, rule)) {}

LogEvent::~LogEvent() {
  if (line_.has_value()) log_.Write(line_->Finish());
}

LogEvent& LogEvent::With(absl::string_view key, absl::string_view value) {
  if (line_.has_value()) line_->Text(key, value);
  return *this;
}

LogEvent& LogEvent::With(absl::string_view key, bool value) {
  if (line_.has_value()) line_->Plain(key, value ? "true" : "false");
  return *this;
}

LogEvent& LogEvent::With(absl::string_view key, double value) {
  if (!line_.has_value()) return *this;
  // JSON has no other numbers.
  if (std::isfinite(value)) {
    line_->Plain(key, absl::StrCat(value));
  } else {
    line_->Text(key, absl::StrCat(value));
  }
  return *this;
}

LogEvent& LogEvent::WithUpTo(size_t max_bytes, absl::string_view key, absl::string_view value) {
  if (line_.has_value()) line_->Text(key, value, max_bytes);
  return *this;
}

}  // namespace penstock
