#pragma once

#include <sys/types.h>

#include <vector>

#include "absl/status/statusor.h"

namespace penstock {

// User and system seconds of the processes so far, all their threads together (utime + stime of
// /proc/PID/stat). NOT_FOUND for one that has ended.
absl::StatusOr<double> ProcessCpuSeconds(const std::vector<pid_t>& pids);

// Seconds that the machine's cores were busy so far, whoever kept them so (/proc/stat).
absl::StatusOr<double> MachineBusySeconds();

}  // namespace penstock
