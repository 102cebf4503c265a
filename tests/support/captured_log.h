#pragma once

#include <string>
#include <utility>
#include <vector>

#include "common/logging/log.h"
#include "common/mutex.h"
#include "tests/support/fake_clock.h"

namespace penstock {

// The process's log while it lives: keeps the lines, without their newlines. Its clock stands still
// at 1970-01-12T13:46:40Z until told.
class CapturedLog {
 public:
  explicit CapturedLog(const LogOptions& options = {})
      : log_("test", clock_, [this](absl::string_view line) { Keep(line); }) {
    log_.Configure(options);
    before_ = EventLog::SetOfProcess(&log_);
  }
  ~CapturedLog() { EventLog::SetOfProcess(before_); }
  CapturedLog(const CapturedLog&) = delete;
  CapturedLog& operator=(const CapturedLog&) = delete;

  FakeClock& clock() { return clock_; }
  EventLog& log() { return log_; }
  std::vector<std::string> Lines() const {
    MutexLock lock(mutex_);
    return lines_;
  }

 private:
  void Keep(absl::string_view line) {
    if (line.empty() || line.back() != '\n') line = "(no whole line)\n";
    MutexLock lock(mutex_);
    lines_.emplace_back(line.substr(0, line.size() - 1));
  }

  FakeClock clock_;
  mutable Mutex mutex_;
  std::vector<std::string> lines_ ABSL_GUARDED_BY(mutex_);
  EventLog log_;
  EventLog* before_ = nullptr;
};

}  // namespace penstock
