#include "common/metrics/process_metrics.h"

#include <prometheus/metric_family.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>
#include <utility>

#include "absl/time/time.h"
#include "common/logging/log.h"
#include "common/metrics/process.h"

namespace penstock {
namespace {

double ResidentBytes() {
  std::ifstream file("/proc/self/statm");
  double size = 0, resident = 0;
  file >> size >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

double OpenDescriptors() {
  std::error_code error;
  std::filesystem::directory_iterator entries("/proc/self/fd", error);
  return error ? 0.0 : static_cast<double>(std::distance(begin(entries), end(entries)));
}

prometheus::MetricFamily Family(const char* name, const char* help, prometheus::MetricType type,
                                double value) {
  prometheus::ClientMetric metric;
  if (type == prometheus::MetricType::Counter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
  prometheus::MetricFamily family;
  family.name = name;
  family.help = help;
  family.type = type;
  family.metric.push_back(std::move(metric));
  return family;
}

}  // namespace

std::vector<prometheus::MetricFamily> ProcessMetrics::Collect() const {
  return {
      Family("process_cpu_seconds_total", "User and system CPU time spent in seconds.",
             prometheus::MetricType::Counter, absl::ToDoubleSeconds(ProcessCpuTime())),
      Family("process_resident_memory_bytes", "Resident memory size in bytes.",
             prometheus::MetricType::Gauge, ResidentBytes()),
      Family("process_open_fds", "Number of open file descriptors.", prometheus::MetricType::Gauge,
             OpenDescriptors()),
      Family("penstock_log_suppressed_lines_total",
             "Lines of the process's log left out because their events had had enough.",
             prometheus::MetricType::Counter,
             static_cast<double>(EventLog::OfProcess().suppressed())),
  };
}

}  // namespace penstock
