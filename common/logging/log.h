#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/logging/event_limits.h"
#include "common/logging/log_line.h"
#include "common/mutex.h"
#include "common/time/clock.h"

namespace penstock {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

struct LogOptions {
  LogFormat format = LogFormat::kKeyValue;
  LogLevel level = LogLevel::kInfo;
  double max_lines_per_second = 20;  // of one event

  friend bool operator==(const LogOptions&, const LogOptions&) = default;
};

// Which of the limits hold for an event.
enum class LogRule {
  kUsual,
  kStranger,  // whoever connects can cause it: a line a second at most
  kAudit,     // whatever the level
  kAlways,    // whatever the level and the rate
};

// Where the lines of a process go. Thread-safe.
class EventLog {
 public:
  // `write` is given whole lines, one at a time.
  EventLog(std::string service, const Clock& clock,
           std::function<void(absl::string_view line)> write);

  // The process's: stderr, until another was set. Whoever is set outlives its last line.
  static EventLog& OfProcess();
  // The log that was the process's before.
  static EventLog* SetOfProcess(EventLog* log);

  // Before threads log.
  void SetService(absl::string_view service);
  void Configure(const LogOptions& options);
  LogOptions options() const;
  bool Writes(LogLevel level) const {
    return static_cast<int>(level) >= level_.load(std::memory_order_relaxed);
  }
  // Lines that were left out because their events had had enough.
  uint64_t suppressed() const { return limits_.suppressed(); }

 private:
  friend class LogEvent;
  std::optional<LogLine> Begin(LogLevel level, absl::string_view event, absl::string_view service,
                               LogRule rule);
  void Write(const std::string& line);

  std::string service_;
  const Clock& clock_;
  const std::function<void(absl::string_view)> write_;
  EventLimits limits_;
  std::atomic<int> level_;
  std::atomic<LogFormat> format_;
  std::atomic<double> max_lines_per_second_;
  Mutex write_mutex_;
};

// One event of the process's log; it is written when this ends:
//   LogInfo("ready").With("pools", 3);
class LogEvent {
 public:
  // `event` is a word of the code. `service` where it is not the process's own.
  LogEvent(LogLevel level, absl::string_view event, absl::string_view service = "",
           LogRule rule = LogRule::kUsual);
  ~LogEvent();
  LogEvent(const LogEvent&) = delete;
  LogEvent& operator=(const LogEvent&) = delete;

  LogEvent& With(absl::string_view key, absl::string_view value);
  LogEvent& With(absl::string_view key, const std::string& value) {
    return With(key, absl::string_view(value));
  }
  LogEvent& With(absl::string_view key, const char* value) {
    return With(key, absl::string_view(value));
  }
  LogEvent& With(absl::string_view key, bool value);
  LogEvent& With(absl::string_view key, double value);
  template <typename Integer, std::enable_if_t<std::is_integral_v<Integer>, int> = 0>
  LogEvent& With(absl::string_view key, Integer value) {
    if (line_.has_value()) line_->Plain(key, absl::StrCat(value));
    return *this;
  }
  // Cut after `max_bytes` rather than LogLine::kMaxValueBytes.
  LogEvent& WithUpTo(size_t max_bytes, absl::string_view key, absl::string_view value);

 private:
  EventLog& log_;
  std::optional<LogLine> line_;  // none: it is not written
};

inline LogEvent LogDebug(absl::string_view event) { return {LogLevel::kDebug, event}; }
inline LogEvent LogInfo(absl::string_view event) { return {LogLevel::kInfo, event}; }
inline LogEvent LogWarning(absl::string_view event) { return {LogLevel::kWarning, event}; }
inline LogEvent LogError(absl::string_view event) { return {LogLevel::kError, event}; }

}  // namespace penstock
