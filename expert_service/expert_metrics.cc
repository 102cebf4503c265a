#include "expert_service/expert_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <map>
#include <utility>

#include "common/mutex.h"

namespace penstock::expert {
namespace {

using prometheus::BuildCounter;
using prometheus::BuildGauge;
using prometheus::BuildHistogram;
using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;

constexpr char kOther[] = "other";

const Histogram::BucketBoundaries kSeconds = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
                                              0.025,  0.05,    0.1,    0.25,  0.5,    1,     2.5};
const Histogram::BucketBoundaries kRows = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024};

// Sets a counter to a total that something else counts.
void CatchUp(Counter& counter, double total) {
  if (total > counter.Value()) counter.Increment(total - counter.Value());
}

}  // namespace

struct ExpertMetrics::State {
  struct OfModel {
    Histogram* latency;
    Histogram* batch_rows;
    Histogram* batch_seconds;
    Counter* compute_cpu;
    Counter* reported_joules;
  };

  explicit State(prometheus::Registry& registry)
      : requests(BuildCounter()
                     .Name("penstock_expert_requests_total")
                     .Help("Requests answered, by model and gRPC status code.")
                     .Register(registry)),
        latency(BuildHistogram()
                    .Name("penstock_expert_request_duration_seconds")
                    .Help("From arrival to answer, queue included.")
                    .Register(registry)),
        batch_rows(BuildHistogram()
                       .Name("penstock_expert_batch_rows")
                       .Help("Rows of an execution.")
                       .Register(registry)),
        batch_seconds(BuildHistogram()
                          .Name("penstock_expert_batch_duration_seconds")
                          .Help("Time of an execution.")
                          .Register(registry)),
        compute_cpu(BuildCounter()
                        .Name("penstock_expert_compute_cpu_seconds_total")
                        .Help("CPU that workers and those who help them spent inside models.")
                        .Register(registry)),
        rows_ended(BuildCounter()
                       .Name("penstock_expert_rows_ended_total")
                       .Help("Rows that left a model early, by the block of its exit; each view of "
                             "a row counts. Others ran to the end.")
                       .Register(registry)),
        reported(BuildCounter()
                     .Name("penstock_expert_reported_joules_total")
                     .Help("Active joules told to requests in trailers.")
                     .Register(registry)),
        active(BuildCounter()
                   .Name("penstock_expert_active_joules_total")
                   .Help("Active joules attributed to a model when windows closed: reported plus "
                         "corrections.")
                   .Register(registry)),
        unattributed(BuildCounter()
                         .Name("penstock_expert_unattributed_joules_total")
                         .Help("Active joules of no request, such as warming up.")
                         .Register(registry)),
        idle(BuildCounter()
                 .Name("penstock_expert_idle_joules_total")
                 .Help("Joules the device takes without work; never charged to requests.")
                 .Register(registry)),
        meter(BuildCounter()
                  .Name("penstock_expert_meter_joules_total")
                  .Help("All joules of the device in closed windows.")
                  .Register(registry)),
        correction(BuildGauge()
                       .Name("penstock_expert_correction_joules")
                       .Help("Attributed less reported joules, since start.")
                       .Register(registry)),
        watts(BuildGauge()
                  .Name("penstock_expert_watts")
                  .Help("Power of the device in the last closed window.")
                  .Register(registry)),
        counted(BuildGauge()
                    .Name("penstock_expert_energy_counted")
                    .Help("1 while joules come from a hardware counter, 0 while they are modelled.")
                    .Register(registry)
                    .Add({})),
        queue_depth(BuildGauge()
                        .Name("penstock_expert_queue_depth")
                        .Help("Requests that wait for a batch.")
                        .Register(registry)
                        .Add({})),
        in_flight(BuildGauge()
                      .Name("penstock_expert_in_flight")
                      .Help("Requests that wait or run.")
                      .Register(registry)
                      .Add({})),
        utilization(BuildGauge()
                        .Name("penstock_expert_utilization_ratio")
                        .Help("Share of the workers' time spent on executions, recently.")
                        .Register(registry)
                        .Add({})) {}

  // What was found stays there.
  const std::pair<const std::string, OfModel>& Find(const std::string& model) {
    MutexLock lock(mutex);
    const auto found = by_model.find(model);
    return found == by_model.end() ? *by_model.find(kOther) : *found;
  }

  Family<Counter>& requests;
  Family<Histogram>& latency;
  Family<Histogram>& batch_rows;
  Family<Histogram>& batch_seconds;
  Family<Counter>& compute_cpu;
  Family<Counter>& rows_ended;
  Family<Counter>& reported;
  Family<Counter>& active;
  Family<Counter>& unattributed;
  Family<Counter>& idle;
  Family<Counter>& meter;
  Family<Gauge>& correction;
  Family<Gauge>& watts;
  Gauge& counted;
  Gauge& queue_depth;
  Gauge& in_flight;
  Gauge& utilization;
  Mutex mutex;
  std::map<std::string, OfModel> by_model ABSL_GUARDED_BY(mutex);  // grows alone; has "other"
  // Adding to a family takes a lock and copies labels, so its answers are kept.
  std::map<std::pair<std::string, absl::StatusCode>, Counter*> request_counters
      ABSL_GUARDED_BY(mutex);
  std::map<std::pair<std::string, size_t>, Counter*> exit_counters ABSL_GUARDED_BY(mutex);
};

ExpertMetrics::ExpertMetrics(prometheus::Registry& registry, const std::vector<std::string>& models)
    : state_(std::make_unique<State>(registry)) {
  AddModels({kOther});
  AddModels(models);
}

void ExpertMetrics::AddModels(const std::vector<std::string>& models) {
  MutexLock lock(state_->mutex);
  for (const std::string& model : models) {
    if (state_->by_model.count(model) > 0 || state_->by_model.size() > kMostModels) continue;
    state_->by_model[model] = {&state_->latency.Add({{"model", model}}, kSeconds),
                               &state_->batch_rows.Add({{"model", model}}, kRows),
                               &state_->batch_seconds.Add({{"model", model}}, kSeconds),
                               &state_->compute_cpu.Add({{"model", model}}),
                               &state_->reported.Add({{"model", model}})};
  }
}

ExpertMetrics::~ExpertMetrics() = default;

void ExpertMetrics::RequestAnswered(const std::string& model, absl::StatusCode code,
                                    absl::Duration latency) {
  const auto& [label, metrics] = state_->Find(model);
  metrics.latency->Observe(absl::ToDoubleSeconds(latency));
  Counter* counter = nullptr;
  {
    MutexLock lock(state_->mutex);
    Counter*& kept = state_->request_counters[{label, code}];
    if (kept == nullptr) {
      kept = &state_->requests.Add({{"model", label}, {"code", absl::StatusCodeToString(code)}});
    }
    counter = kept;
  }
  counter->Increment();
}

void ExpertMetrics::BatchExecuted(const std::string& model, int64_t rows, int64_t requests,
                                  absl::Duration took, absl::Duration cpu) {
  const State::OfModel& metrics = state_->Find(model).second;
  metrics.batch_rows->Observe(static_cast<double>(rows));
  metrics.batch_seconds->Observe(absl::ToDoubleSeconds(took));
  metrics.compute_cpu->Increment(absl::ToDoubleSeconds(cpu));
}

void ExpertMetrics::RowsEnded(const std::string& model, size_t block, int64_t rows) {
  const std::string& label = state_->Find(model).first;
  Counter* counter = nullptr;
  {
    MutexLock lock(state_->mutex);
    Counter*& kept = state_->exit_counters[{label, block}];
    if (kept == nullptr) {
      kept = &state_->rows_ended.Add({{"model", label}, {"block", std::to_string(block)}});
    }
    counter = kept;
  }
  counter->Increment(static_cast<double>(rows));
}

void ExpertMetrics::JoulesReported(const std::string& model, double joules) {
  state_->Find(model).second.reported_joules->Increment(joules);
}

void ExpertMetrics::Refresh(const Executor::Load& load, const EnergyMeter& meter,
                            const std::vector<std::string>& models) {
  state_->queue_depth.Set(static_cast<double>(load.queue_depth));
  state_->in_flight.Set(static_cast<double>(load.in_flight));
  state_->utilization.Set(load.utilization);
  const EnergyMeter::Totals totals = meter.totals();
  for (const auto& [owner, joules] : totals.attributed) {
    if (owner >= models.size()) continue;
    CatchUp(state_->active.Add({{"model", state_->Find(models[owner]).first}}), joules);
  }
  CatchUp(state_->unattributed.Add({}), totals.unattributed);
  CatchUp(state_->idle.Add({}), totals.idle);
  CatchUp(state_->meter.Add({}), totals.meter);
  state_->correction.Add({}).Set(totals.corrections);
  state_->watts.Add({}).Set(meter.watts());
  state_->counted.Set(meter.method() == EnergyMethod::kCounter ? 1 : 0);
}

}  // namespace penstock::expert
