#pragma once

#include "absl/time/time.h"

namespace penstock {

// CPU that this process has used, user and system, all threads.
absl::Duration ProcessCpuTime();

}  // namespace penstock
