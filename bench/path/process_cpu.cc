#include "bench/path/process_cpu.h"

#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"

namespace penstock {
namespace {

double TicksToSeconds(double ticks) { return ticks / static_cast<double>(sysconf(_SC_CLK_TCK)); }

}  // namespace

absl::StatusOr<double> ProcessCpuSeconds(const std::vector<pid_t>& pids) {
  double ticks = 0;
  for (const pid_t pid : pids) {
    std::ifstream file(absl::StrCat("/proc/", pid, "/stat"));
    std::string text;
    if (!std::getline(file, text)) {
      return absl::NotFoundError(absl::StrCat("process ", pid, " has ended"));
    }
    // Field 2 is the name in brackets and may hold blanks; utime and stime are fields 14 and 15.
    std::istringstream fields(text.substr(text.rfind(')') + 1));
    std::string field;
    for (int i = 3; i <= 15 && fields >> field; ++i) {
      if (i >= 14) ticks += std::stod(field);
    }
  }
  return TicksToSeconds(ticks);
}

absl::StatusOr<double> MachineBusySeconds() {
  std::ifstream file("/proc/stat");
  std::string label;
  double user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0;
  if (!(file >> label >> user >> nice >> system >> idle >> iowait >> irq >> softirq)) {
    return absl::UnavailableError("/proc/stat cannot be read");
  }
  return TicksToSeconds(user + nice + system + irq + softirq);
}

}  // namespace penstock
