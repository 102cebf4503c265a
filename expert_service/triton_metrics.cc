#include "expert_service/triton_metrics.h"

#include <prometheus/metric_type.h>

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "expert_service/collected_metrics.h"

namespace penstock::expert {
namespace {

using Families = std::vector<prometheus::MetricFamily>;

struct VersionTold {
  Labels labels;
  const Executor::Version* version = nullptr;
  double waiting = 0;
  double load_seconds = 0;
};

Labels With(Labels labels, const char* name, const char* value) {
  labels.push_back({name, value});
  return labels;
}

// One sample for each version.
template <typename Read>
void Tell(prometheus::MetricFamily family, const std::vector<VersionTold>& versions, Read read,
          Families& to) {
  for (const VersionTold& told : versions) {
    AddSample(family, static_cast<double>(read(told)), told.labels);
  }
  to.push_back(std::move(family));
}

void TellCounts(const std::vector<VersionTold>& versions, Families& to) {
  const auto stats = [](const VersionTold& told) -> const ModelStatistics::Snapshot& {
    return told.version->statistics;
  };
  Tell(Family("nv_inference_request_success", "Requests answered with OK, as Triton names them.",
              prometheus::MetricType::Counter),
       versions, [&](const VersionTold& told) { return stats(told).success.count; }, to);
  prometheus::MetricFamily failures =
      Family("nv_inference_request_failure",
             "Requests that failed, by why: REJECTED (queue full, or waited too long), CANCELED, "
             "BACKEND (the execution failed), OTHER.",
             prometheus::MetricType::Counter);
  for (const VersionTold& told : versions) {
    const ModelStatistics::Snapshot& of = stats(told);
    for (const auto& [reason, count] :
         {std::pair<const char*, uint64_t>{"REJECTED", of.rejected},
          {"CANCELED", of.cancel.count},
          {"BACKEND", of.broken},
          {"OTHER", of.fail.count - of.rejected - of.broken}}) {
      AddSample(failures, static_cast<double>(count), With(told.labels, "reason", reason));
    }
  }
  to.push_back(std::move(failures));
  Tell(Family("nv_inference_count", "Rows of the requests answered with OK.",
              prometheus::MetricType::Counter),
       versions, [&](const VersionTold& told) { return stats(told).inference_count; }, to);
  Tell(Family("nv_inference_exec_count", "Executions, each of one batch.",
              prometheus::MetricType::Counter),
       versions, [&](const VersionTold& told) { return stats(told).execution_count; }, to);
  Tell(Family("nv_inference_pending_request_count", "Requests that wait for a batch.",
              prometheus::MetricType::Gauge),
       versions, [](const VersionTold& told) { return told.waiting; }, to);
}

void TellDurations(const std::vector<VersionTold>& versions, Families& to) {
  const auto total = [](ModelStatistics::Sum ModelStatistics::Snapshot::*part) {
    return [part](const VersionTold& told) {
      return absl::ToDoubleMicroseconds((told.version->statistics.*part).total);
    };
  };
  using Of = ModelStatistics::Snapshot;
  Tell(Family("nv_inference_request_duration_us",
              "Of requests answered with OK, from arrival to answer.",
              prometheus::MetricType::Counter),
       versions, total(&Of::success), to);
  Tell(Family("nv_inference_queue_duration_us", "Of them, waiting for a batch.",
              prometheus::MetricType::Counter),
       versions, total(&Of::queue), to);
  Tell(Family("nv_inference_compute_input_duration_us", "Of them, reading the inputs.",
              prometheus::MetricType::Counter),
       versions, total(&Of::compute_input), to);
  Tell(Family("nv_inference_compute_infer_duration_us",
              "Of them, the executions; each counts for every request of its batch.",
              prometheus::MetricType::Counter),
       versions, total(&Of::compute_infer), to);
  Tell(Family("nv_inference_compute_output_duration_us", "Of them, writing the outputs.",
              prometheus::MetricType::Counter),
       versions, total(&Of::compute_output), to);
  Tell(Family("nv_model_load_duration_secs", "Reading, packing and warming up a version.",
              prometheus::MetricType::Gauge),
       versions, [](const VersionTold& told) { return told.load_seconds; }, to);
}

void AddKnown(prometheus::MetricFamily& family, std::optional<double> value, const Labels& labels) {
  if (value) AddSample(family, *value, labels);
}

void TellGpus(const std::vector<GpuReading>& gpus, Families& to) {
  Families families = {
      Family("nv_gpu_utilization", "Share of its time that a GPU computed, of late.",
             prometheus::MetricType::Gauge),
      Family("nv_gpu_memory_total_bytes", "Memory of a GPU.", prometheus::MetricType::Gauge),
      Family("nv_gpu_memory_used_bytes", "Memory of a GPU that is taken, by whomever.",
             prometheus::MetricType::Gauge),
      Family("nv_gpu_power_usage", "Power that a GPU draws.", prometheus::MetricType::Gauge),
      Family("nv_gpu_power_limit", "Power that a GPU keeps to.", prometheus::MetricType::Gauge),
      Family("nv_energy_consumption", "Joules that a GPU took since the service started.",
             prometheus::MetricType::Counter),
  };
  for (const GpuReading& gpu : gpus) {
    const Labels labels = {{"gpu_uuid", gpu.uuid}};
    AddKnown(families[0], gpu.utilization, labels);
    if (gpu.memory) {
      AddSample(families[1], static_cast<double>(gpu.memory->total_bytes), labels);
      AddSample(families[2], static_cast<double>(gpu.memory->used_bytes), labels);
    }
    AddKnown(families[3], gpu.watts, labels);
    AddKnown(families[4], gpu.watts_limit, labels);
    AddKnown(families[5], gpu.joules, labels);
  }
  for (prometheus::MetricFamily& family : families) to.push_back(std::move(family));
}

void TellHost(const HostUsage::Reading& host, Families& to) {
  const auto add = [&to](prometheus::MetricFamily family, std::optional<double> value) {
    AddKnown(family, value, {});
    to.push_back(std::move(family));
  };
  add(Family("nv_cpu_utilization", "Share of its time that the machine's CPU was busy, of late.",
             prometheus::MetricType::Gauge),
      host.cpu);
  add(Family("nv_cpu_memory_total_bytes", "Memory of the machine.", prometheus::MetricType::Gauge),
      host.memory_total_bytes);
  add(Family("nv_cpu_memory_used_bytes", "Memory of the machine that is not available.",
             prometheus::MetricType::Gauge),
      host.memory_used_bytes);
}

}  // namespace

TritonMetrics::TritonMetrics(const Executor& executor, const LiveRepository& models,
                             std::unique_ptr<GpuWatch> gpus, std::unique_ptr<HostUsage> host)
    : executor_(executor), models_(models), gpus_(std::move(gpus)), host_(std::move(host)) {}

std::vector<prometheus::MetricFamily> TritonMetrics::Collect() const {
  const std::vector<Executor::Version> versions = executor_.versions();
  const auto load_times = models_.load_times();
  // A version that came again is told as new, as its counters are; what waits for either waits.
  std::map<std::pair<std::string, int64_t>, VersionTold> by_name;
  for (const Executor::Version& version : versions) {
    const std::pair key(version.model, version.version);
    if (by_name.size() >= kMostVersions && by_name.count(key) == 0) continue;
    VersionTold& told = by_name[key];
    told.labels = {{"model", version.model}, {"version", absl::StrCat(version.version)}};
    told.version = &version;
    told.waiting += static_cast<double>(version.waiting);
    const auto read = load_times.find(key);
    told.load_seconds = absl::ToDoubleSeconds(
        version.warm_up + (read == load_times.end() ? absl::ZeroDuration() : read->second));
  }
  std::vector<VersionTold> told;
  for (auto& [key, each] : by_name) told.push_back(std::move(each));
  Families families;
  TellCounts(told, families);
  TellDurations(told, families);
  if (gpus_ != nullptr) TellGpus(gpus_->Read(), families);
  TellHost(host_->Read(), families);
  return families;
}

}  // namespace penstock::expert
