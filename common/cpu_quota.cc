#include "common/cpu_quota.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <limits>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace penstock {
namespace {

constexpr double kNoQuota = std::numeric_limits<double>::infinity();

// The words of a file; none where it cannot be read.
std::vector<std::string> Words(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> words;
  for (std::string word; file >> word;) words.push_back(word);
  return words;
}

double Cores(absl::string_view quota, absl::string_view period) {
  int64_t microseconds = 0, of = 0;
  if (!absl::SimpleAtoi(quota, &microseconds) || !absl::SimpleAtoi(period, &of)) return kNoQuota;
  if (microseconds <= 0 || of <= 0) return kNoQuota;  // -1 is v1's word for none
  return static_cast<double>(microseconds) / static_cast<double>(of);
}

// "max 100000" or "150000 100000".
double CoresV2(const std::string& folder) {
  const std::vector<std::string> words = Words(folder + "/cpu.max");
  return words.size() == 2 ? Cores(words[0], words[1]) : kNoQuota;
}

double CoresV1(const std::string& folder) {
  const std::vector<std::string> quota = Words(folder + "/cpu.cfs_quota_us");
  const std::vector<std::string> period = Words(folder + "/cpu.cfs_period_us");
  return quota.size() == 1 && period.size() == 1 ? Cores(quota[0], period[0]) : kNoQuota;
}

// The least from `mount` down to the group. A group that is not in view, since it is named as
// outside of a container, leaves the mount, which there is the container's own.
double LeastOnTheWay(const std::string& mount, absl::string_view group,
                     double (*cores)(const std::string&)) {
  std::string folder = mount;
  double least = cores(folder);
  for (const absl::string_view name : absl::StrSplit(group, '/', absl::SkipEmpty())) {
    if (name == "..") return least;  // above what the mount shows
    absl::StrAppend(&folder, "/", name);
    least = std::min(least, cores(folder));
  }
  return least;
}

// Lines are "hierarchy:controllers:group"; of v2, "0::group".
double QuotaOf(const std::string& root) {
  const std::string mounts = root + "/sys/fs/cgroup";
  std::string v2_group, v1_group;
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const std::vector<absl::string_view> parts = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() != 3) continue;
    if (parts[1].empty()) v2_group = std::string(parts[2]);
    for (const absl::string_view controller : absl::StrSplit(parts[1], ',')) {
      if (controller == "cpu") v1_group = std::string(parts[2]);
    }
  }
  double least = kNoQuota;
  for (const char* mount : {"", "/unified"}) {
    least = std::min(least, LeastOnTheWay(mounts + mount, v2_group, CoresV2));
  }
  for (const char* mount : {"/cpu", "/cpu,cpuacct"}) {
    least = std::min(least, LeastOnTheWay(mounts + mount, v1_group, CoresV1));
  }
  return least;
}

}  // namespace

int QuotaCores(const std::string& root) {
  const double cores = std::ceil(QuotaOf(root));
  return cores > std::numeric_limits<int>::max() ? 0 : static_cast<int>(cores);
}

int UsableCores() {
  // The mask is of 1024 CPUs: of a larger machine it cannot be read.
  cpu_set_t mask;
  int cores = sched_getaffinity(0, sizeof(mask), &mask) == 0
                  ? CPU_COUNT(&mask)
                  : static_cast<int>(std::thread::hardware_concurrency());
  if (const int quota = QuotaCores(""); quota > 0) cores = std::min(cores, quota);
  return std::max(cores, 1);
}

}  // namespace penstock
