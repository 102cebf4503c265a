#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/time/clock.h"

namespace penstock {

// Lines of a log that strangers cause: what they sent stands in them escaped, so that it begins no
// line and no key of its own, and of each period no more lines are kept than a few, so that nobody
// fills a disk. Thread-safe.
class StrangersLog {
 public:
  StrangersLog(const Clock& clock, int lines, absl::Duration period)
      : clock_(clock), lines_(lines), period_(period) {}

  // `text` as it may be written, in quotes, with how many lines were left out since the last one;
  // empty: it may not.
  std::string Line(absl::string_view text);

 private:
  const Clock& clock_;
  const int lines_;
  const absl::Duration period_;
  Mutex mutex_;
  absl::Time began_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  int written_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t left_out_ ABSL_GUARDED_BY(mutex_) = 0;
};

// From here on errors of gRPC and protobuf go to the process's log as one line each, their other
// words only where it logs debug. Call once, before either library is used.
void LogForLibraries();

}  // namespace penstock
