#include "common/metrics/process.h"

#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <thread>

#include "absl/strings/numbers.h"

namespace penstock {
namespace {

// Cores by the cgroup's quota, rounded up; 0 where there is none.
int QuotaCores() {
  std::ifstream v2("/sys/fs/cgroup/cpu.max");
  std::string quota_text, period_text;
  double quota = 0, period = 0;
  if (v2 >> quota_text >> period_text && absl::SimpleAtod(quota_text, &quota) &&
      absl::SimpleAtod(period_text, &period) && quota > 0 && period > 0) {
    return static_cast<int>((quota + period - 1) / period);
  }
  std::ifstream v1_quota("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
  std::ifstream v1_period("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  if (v1_quota >> quota && v1_period >> period && quota > 0 && period > 0) {
    return static_cast<int>((quota + period - 1) / period);
  }
  return 0;
}

}  // namespace

absl::Duration ProcessCpuTime() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return absl::DurationFromTimeval(usage.ru_utime) + absl::DurationFromTimeval(usage.ru_stime);
}

int UsableCores() {
  int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  cpu_set_t mask;
  if (sched_getaffinity(0, sizeof(mask), &mask) == 0) cores = std::min(cores, CPU_COUNT(&mask));
  if (const int quota = QuotaCores(); quota > 0) cores = std::min(cores, quota);
  return std::max(cores, 1);
}

}  // namespace penstock
