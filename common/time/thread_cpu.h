#pragma once

#include <ctime>

#include "absl/time/time.h"

namespace penstock {

// CPU that the calling thread has used.
inline absl::Duration ThreadCpuTime() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return absl::DurationFromTimespec(now);
}

}  // namespace penstock
