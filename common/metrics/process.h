#pragma once

#include "absl/time/time.h"

namespace penstock {

// CPU that this process has used, user and system, all threads.
absl::Duration ProcessCpuTime();
// Cores this process may use: the least of the machine's, the affinity mask's and the cgroup's quota,
// rounded up; at least 1.
int UsableCores();

}  // namespace penstock
