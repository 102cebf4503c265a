#include "expert_service/expert_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <array>
#include <map>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "common/mutex.h"
#include "penstock/config/v1/model.pb.h"

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

// Numbers of the kinds of blocks are below this; the test of all kinds fails where one is not.
constexpr size_t kKinds = 32;

// Those that are run by kernels, by number.
std::vector<std::pair<size_t, std::string>> KindsOfBlocks() {
  std::vector<std::pair<size_t, std::string>> kinds;
  const auto* oneof = config::v1::Block::descriptor()->FindOneofByName("kind");
  for (int i = 0; i < oneof->field_count(); ++i) {
    const auto number = static_cast<size_t>(oneof->field(i)->number());
    if (number < kKinds && number != config::v1::Block::kIdentity) {
      kinds.emplace_back(number, oneof->field(i)->name());
    }
  }
  return kinds;
}

}  // namespace

struct ExpertMetrics::State {
  struct OfCode {
    Counter* requests = nullptr;
    Histogram* latency = nullptr;
  };
  // Adding to a family takes a lock and copies labels, so its answers are kept.
  struct OfModel {
    std::string label;
    Histogram* queue_wait = nullptr;
    Histogram* batch_rows = nullptr;
    Histogram* batch_seconds = nullptr;
    Counter* compute_cpu = nullptr;
    Counter* reported_joules = nullptr;
    std::map<absl::StatusCode, OfCode> codes;  // under the mutex
    std::map<size_t, Counter*> exits;          // likewise
  };
  struct OfKind {
    Counter* seconds = nullptr;
    Counter* bytes = nullptr;
  };

  explicit State(prometheus::Registry& registry)
      : requests(BuildCounter()
                     .Name("penstock_expert_requests_total")
                     .Help("Requests answered, by model and gRPC status code.")
                     .Register(registry)),
        latency(BuildHistogram()
                    .Name("penstock_expert_request_duration_seconds")
                    .Help("From arrival to answer, queue included, by gRPC status code.")
                    .Register(registry)),
        queue_wait(BuildHistogram()
                       .Name("penstock_expert_queue_wait_seconds")
                       .Help("How long requests waited for their batch that were executed.")
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
        kernel_seconds(BuildCounter()
                           .Name("penstock_expert_kernel_seconds_total")
                           .Help("Time of requests' executions, by kind of block.")
                           .Register(registry)),
        kernel_bytes(BuildCounter()
                         .Name("penstock_expert_kernel_bytes_total")
                         .Help("What these had to move over the memory bus, by kind of block: "
                               "weights that were read and values, each once.")
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
                        .Add({})) {
    for (const auto& [number, name] : KindsOfBlocks()) {
      kinds[number] = {&kernel_seconds.Add({{"block", name}}),
                       &kernel_bytes.Add({{"block", name}})};
    }
  }

  // What was found stays there.
  OfModel& Find(const std::string& model) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    const auto found = by_model.find(model);
    return found == by_model.end() ? *by_model.find(kOther)->second : *found->second;
  }
  const OfModel& LockedFind(const std::string& model) {
    MutexLock lock(mutex);
    return Find(model);
  }

  Family<Counter>& requests;
  Family<Histogram>& latency;
  Family<Histogram>& queue_wait;
  Family<Histogram>& batch_rows;
  Family<Histogram>& batch_seconds;
  Family<Counter>& compute_cpu;
  Family<Counter>& kernel_seconds;
  Family<Counter>& kernel_bytes;
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
  std::array<OfKind, kKinds> kinds;  // without those that no kernel runs
  Mutex mutex;
  // Grows alone; has "other".
  absl::flat_hash_map<std::string, std::unique_ptr<OfModel>> by_model ABSL_GUARDED_BY(mutex);
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
    auto added = std::make_unique<State::OfModel>();
    added->label = model;
    added->queue_wait = &state_->queue_wait.Add({{"model", model}}, kSeconds);
    added->batch_rows = &state_->batch_rows.Add({{"model", model}}, kRows);
    added->batch_seconds = &state_->batch_seconds.Add({{"model", model}}, kSeconds);
    added->compute_cpu = &state_->compute_cpu.Add({{"model", model}});
    added->reported_joules = &state_->reported.Add({{"model", model}});
    state_->by_model[model] = std::move(added);
  }
}

ExpertMetrics::~ExpertMetrics() = default;

void ExpertMetrics::RequestAnswered(const std::string& model, absl::StatusCode code,
                                    absl::Duration latency) {
  State::OfCode of_code;
  {
    MutexLock lock(state_->mutex);
    State::OfModel& of_model = state_->Find(model);
    State::OfCode& kept = of_model.codes[code];
    if (kept.requests == nullptr) {
      const std::map<std::string, std::string> labels = {{"model", of_model.label},
                                                         {"code", absl::StatusCodeToString(code)}};
      kept = {&state_->requests.Add(labels), &state_->latency.Add(labels, kSeconds)};
    }
    of_code = kept;
  }
  of_code.requests->Increment();
  of_code.latency->Observe(absl::ToDoubleSeconds(latency));
}

void ExpertMetrics::BatchExecuted(const std::string& model, int64_t rows, int64_t requests,
                                  absl::Duration took, absl::Duration cpu) {
  const State::OfModel& of_model = state_->LockedFind(model);
  of_model.batch_rows->Observe(static_cast<double>(rows));
  of_model.batch_seconds->Observe(absl::ToDoubleSeconds(took));
  of_model.compute_cpu->Increment(absl::ToDoubleSeconds(cpu));
}

void ExpertMetrics::BlocksExecuted(absl::Span<const BlockCost> blocks) {
  // A model may have a hundred blocks of few kinds, and other workers count, too.
  struct Sum {
    absl::Duration time;
    double bytes = 0;
  };
  std::array<Sum, kKinds> sums;
  for (const BlockCost& block : blocks) {
    const auto kind = static_cast<size_t>(block.kind);
    if (kind >= kKinds) continue;
    sums[kind].time += block.time;
    sums[kind].bytes += block.bytes;
  }
  for (size_t kind = 0; kind < kKinds; ++kind) {
    const State::OfKind& counters = state_->kinds[kind];
    if (counters.bytes == nullptr || sums[kind].bytes == 0) continue;
    counters.seconds->Increment(absl::ToDoubleSeconds(sums[kind].time));
    counters.bytes->Increment(sums[kind].bytes);
  }
}

void ExpertMetrics::RowsEnded(const std::string& model, size_t block, int64_t rows) {
  Counter* counter = nullptr;
  {
    MutexLock lock(state_->mutex);
    State::OfModel& of_model = state_->Find(model);
    Counter*& kept = of_model.exits[block];
    if (kept == nullptr) {
      kept = &state_->rows_ended.Add(
          {{"model", of_model.label}, {"block", std::to_string(block)}});
    }
    counter = kept;
  }
  counter->Increment(static_cast<double>(rows));
}

void ExpertMetrics::RequestExecuted(const std::string& model, absl::Duration waited,
                                    double joules) {
  const State::OfModel& of_model = state_->LockedFind(model);
  of_model.queue_wait->Observe(absl::ToDoubleSeconds(waited));
  of_model.reported_joules->Increment(joules);
}

void ExpertMetrics::Refresh(const Executor::Load& load, const EnergyMeter& meter,
                            const std::vector<std::string>& models) {
  state_->queue_depth.Set(static_cast<double>(load.queue_depth));
  state_->in_flight.Set(static_cast<double>(load.in_flight));
  state_->utilization.Set(load.utilization);
  const EnergyMeter::Totals totals = meter.totals();
  std::map<std::string, double> active;  // by label: "other" is of several models
  for (const auto& [owner, joules] : totals.attributed) {
    if (owner < models.size()) active[state_->LockedFind(models[owner]).label] += joules;
  }
  for (const auto& [label, joules] : active) {
    CatchUp(state_->active.Add({{"model", label}}), joules);
  }
  CatchUp(state_->unattributed.Add({}), totals.unattributed);
  CatchUp(state_->idle.Add({}), totals.idle);
  CatchUp(state_->meter.Add({}), totals.meter);
  state_->correction.Add({}).Set(totals.corrections);
  state_->watts.Add({}).Set(meter.watts());
  state_->counted.Set(meter.method() == EnergyMethod::kCounter ? 1 : 0);
}

}  // namespace penstock::expert
