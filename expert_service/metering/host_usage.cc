#include "expert_service/metering/host_usage.h"

#include <fstream>
#include <limits>
#include <utility>

namespace penstock::expert {

HostUsage::HostUsage(const Clock& clock, std::string proc)
    : clock_(clock), proc_(std::move(proc)) {
  MutexLock lock(mutex_);
  cpu_at_ = clock_.Now();
  cpu_ = ReadCpu();
}

std::optional<HostUsage::CpuTime> HostUsage::ReadCpu() const {
  // "cpu user nice system idle iowait irq softirq steal guest guest_nice": what guests took is in
  // user and nice, too.
  constexpr int kIdle = 3, kIoWait = 4, kFields = 8;
  std::ifstream file(proc_ + "/stat");
  std::string name;
  if (!(file >> name) || name != "cpu") return std::nullopt;
  CpuTime time;
  for (int i = 0; i < kFields; ++i) {
    uint64_t ticks = 0;
    if (!(file >> ticks)) return std::nullopt;
    time.all += ticks;
    if (i != kIdle && i != kIoWait) time.busy += ticks;
  }
  return time;
}

HostUsage::Reading HostUsage::Read() {
  Reading reading;
  {
    MutexLock lock(mutex_);
    const absl::Time now = clock_.Now();
    if (now - cpu_at_ >= kMinPeriod) {
      const std::optional<CpuTime> next = ReadCpu();
      if (next && cpu_ && next->all > cpu_->all && next->busy >= cpu_->busy) {
        share_ = static_cast<double>(next->busy - cpu_->busy) /
                 static_cast<double>(next->all - cpu_->all);
      }
      cpu_ = next;
      cpu_at_ = now;
    }
    reading.cpu = share_;
  }
  std::ifstream file(proc_ + "/meminfo");
  std::string name;
  uint64_t kib = 0;
  std::optional<uint64_t> available;
  while (file >> name >> kib) {
    if (name == "MemTotal:") reading.memory_total_bytes = kib * 1024;
    if (name == "MemAvailable:") available = kib * 1024;
    file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  if (available && reading.memory_total_bytes && *available <= *reading.memory_total_bytes) {
    reading.memory_used_bytes = *reading.memory_total_bytes - *available;
  }
  return reading;
}

}  // namespace penstock::expert
