#include "expert_service/served_metrics.h"

#include <prometheus/metric_type.h>

#include <map>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "expert_service/collected_metrics.h"

namespace penstock::expert {
namespace {

prometheus::MetricFamily Waiting() {
  return Family("penstock:num_requests_waiting", "Requests that wait for a batch.",
                prometheus::MetricType::Gauge);
}

prometheus::MetricFamily Running() {
  return Family("penstock:num_requests_running", "Requests that run.",
                prometheus::MetricType::Gauge);
}

std::string NameOr(const std::string& name, const prometheus::MetricFamily& family) {
  return name.empty() ? family.name : name;
}

bool IsMetricName(absl::string_view name) {
  const auto fits = [](char c) { return absl::ascii_isalpha(c) || c == '_' || c == ':'; };
  if (name.empty() || !fits(name[0])) return false;
  for (const char c : name) {
    if (!fits(c) && !absl::ascii_isdigit(c)) return false;
  }
  return true;
}

// The metrics port tells no families but of these.
bool IsTaken(absl::string_view name) {
  for (const absl::string_view others :
       {"penstock_", "process_", "nv_inference_", "nv_model_", "nv_gpu_", "nv_energy_",
        "nv_cpu_"}) {
    if (absl::StartsWith(name, others)) return true;
  }
  return false;
}

absl::Status CheckName(absl::string_view field, absl::string_view name) {
  if (!IsMetricName(name)) {
    return absl::InvalidArgumentError(absl::StrCat("model_server_gauges.", field,
                                                   ": wanted [a-zA-Z_:][a-zA-Z0-9_:]*, got \"",
                                                   name, "\""));
  }
  if (!IsTaken(name)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "model_server_gauges.", field, ": wanted a name that no other metric has, got \"", name,
      "\", and names that begin so are the service's own"));
}

}  // namespace

absl::Status ServedMetrics::Check(const config::v1::ModelServerGauges& names) {
  const std::string waiting = NameOr(names.waiting(), Waiting());
  const std::string running = NameOr(names.running(), Running());
  PENSTOCK_RETURN_IF_ERROR(CheckName("waiting", waiting));
  PENSTOCK_RETURN_IF_ERROR(CheckName("running", running));
  if (waiting != running) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "model_server_gauges.running: wanted another name than that of `waiting`, got \"", running,
      "\" for both"));
}

ServedMetrics::ServedMetrics(const Executor& executor, const LiveRepository& models,
                             const config::v1::ModelServerGauges& names)
    : executor_(executor), models_(models), names_(names) {}

std::vector<prometheus::MetricFamily> ServedMetrics::Collect() const {
  std::vector<prometheus::MetricFamily> families;
  TellModels(families);
  TellGauges(families);
  return families;
}

void ServedMetrics::TellModels(std::vector<prometheus::MetricFamily>& to) const {
  struct OfModel {
    double weight_bytes = 0;
    int64_t latest = 0;  // version
    double load_seconds = 0;
  };
  const auto load_times = models_.load_times();
  std::map<std::string, OfModel> by_model;
  for (const Executor::Version& version : executor_.versions()) {
    const bool known = by_model.count(version.model) > 0 || by_model.size() < kMostModels;
    OfModel& model = by_model[known ? version.model : "other"];
    model.weight_bytes += static_cast<double>(version.weight_bytes);
    if (version.version < model.latest) continue;
    model.latest = version.version;
    const auto read = load_times.find({version.model, version.version});
    model.load_seconds = absl::ToDoubleSeconds(
        version.warm_up + (read == load_times.end() ? absl::ZeroDuration() : read->second));
  }
  prometheus::MetricFamily bytes =
      Family("penstock_expert_weights_bytes",
             "Weights in memory, of all versions of a model that are served or still answer.",
             prometheus::MetricType::Gauge);
  prometheus::MetricFamily seconds =
      Family("penstock_expert_model_load_duration_seconds",
             "Reading, packing and warming up the latest version of a model.",
             prometheus::MetricType::Gauge);
  for (const auto& [name, model] : by_model) {
    AddSample(bytes, model.weight_bytes, {{"model", name}});
    AddSample(seconds, model.load_seconds, {{"model", name}});
  }
  to.push_back(std::move(bytes));
  to.push_back(std::move(seconds));
}

void ServedMetrics::TellGauges(std::vector<prometheus::MetricFamily>& to) const {
  const Executor::Load load = executor_.load();
  prometheus::MetricFamily waiting = Waiting(), running = Running();
  waiting.name = NameOr(names_.waiting(), waiting);
  running.name = NameOr(names_.running(), running);
  AddSample(waiting, static_cast<double>(load.queue_depth));
  AddSample(running, static_cast<double>(load.in_flight - load.queue_depth));
  to.push_back(std::move(waiting));
  to.push_back(std::move(running));
}

}  // namespace penstock::expert
