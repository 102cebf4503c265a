#pragma once

#include <string>

namespace penstock {

// Cores this process may keep busy: the least of its affinity mask and the CPU quotas of its cgroup
// and of all above it (v2 cpu.max, v1 cpu.cfs_quota_us / cpu.cfs_period_us), rounded up; at least
// 1. Reads files: for start-up.
int UsableCores();

// The quotas' part of it, of files below `root` ("" for this machine's). 0: there is none.
int QuotaCores(const std::string& root);

}  // namespace penstock
