#include "router_service/metrics/calibration_metrics.h"

#include <prometheus/counter.h>

#include <utility>

#include "router_service/dispatch/energy_tally.h"
#include "router_service/metrics/families.h"
#include "router_service/metrics/lazy_series.h"

namespace penstock::router {
namespace {

using Counter = prometheus::Counter;

}  // namespace

CalibrationFamilies::CalibrationFamilies(prometheus::Registry& registry)
    : predicted_latency(
          MakeCounters(registry, "penstock_router_predicted_latency_seconds_total",
                       "Sum of what experts' answers were expected to take, on the mean and with "
                       "the load of that moment, by pool and expert. Answers (OK) with a "
                       "prediction.")),
      measured_latency(MakeCounters(registry, "penstock_router_measured_latency_seconds_total",
                                    "Sum of what the same answers took, as the router saw it, by "
                                    "pool and expert.")),
      promises(MakeCounters(registry, "penstock_router_latency_promises_total",
                            "The same answers by pool, expert and result: kept (within the "
                            "promised quantile of latency), broken.")),
      predicted_joules(MakeCounters(registry, "penstock_router_predicted_joules_total",
                                    "Sum of the joules that experts' answers were expected to "
                                    "take, by pool and expert. Answers (OK) with a prediction "
                                    "whose expert reported joules.")),
      measured_joules(MakeCounters(registry, "penstock_router_measured_joules_total",
                                   "Sum of the joules reported with the same answers, by pool, "
                                   "expert and method.")) {}

struct PoolCalibration::OfExpert {
  OfExpert(CalibrationFamilies& families_in, prometheus::Labels labels_in)
      : families(families_in),
        labels(std::move(labels_in)),
        predicted_latency(families.predicted_latency.Add(labels)),
        measured_latency(families.measured_latency.Add(labels)) {}

  Counter& Promise(bool kept) {
    return promises.Get(
        kept ? 1 : 0, [&]() -> auto& {
          prometheus::Labels with_result = labels;
          with_result.emplace("result", kept ? "kept" : "broken");
          return families.promises.Add(with_result);
        });
  }
  Counter& PredictedJoules() {
    return predicted_joules.Get(
        0, [&]() -> auto& { return families.predicted_joules.Add(labels); });
  }
  Counter& MeasuredJoules(EnergyMethod method) {
    return measured_joules.Get(
        static_cast<size_t>(method), [&]() -> auto& {
          prometheus::Labels with_method = labels;
          with_method.emplace("method", std::string(EnergyMethodName(method)));
          return families.measured_joules.Add(with_method);
        });
  }

  CalibrationFamilies& families;
  const prometheus::Labels labels;
  Counter& predicted_latency;
  Counter& measured_latency;
  LazySeries<Counter, 2> promises;  // broken, kept
  // Of experts that report joules.
  LazySeries<Counter, 1> predicted_joules;
  LazySeries<Counter, kEnergyMethods> measured_joules;
};

PoolCalibration::PoolCalibration(CalibrationFamilies& families, PoolLabels& labels,
                                 std::string pool)
    : families_(families), labels_(labels), pool_(std::move(pool)) {}

PoolCalibration::~PoolCalibration() = default;

PoolCalibration::OfExpert& PoolCalibration::Find(const std::string& expert) {
  MutexLock lock(mutex_);
  if (const auto known = experts_.find(expert); known != experts_.end()) return *known->second;
  const std::string label = labels_.LabelOf(pool_, expert);
  std::unique_ptr<OfExpert>& series = by_label_[label];
  if (series == nullptr) {
    series = std::make_unique<OfExpert>(families_,
                                        prometheus::Labels{{"pool", pool_}, {"expert", label}});
  }
  // What is told as "other" is looked up again: no end of names is kept for it.
  if (label == expert) experts_.emplace(expert, series.get());
  return *series;
}

void PoolCalibration::RequestFinished(const RouteEvent& event) {
  if (event.decision == nullptr) return;
  const auto& runs = event.decision->runs();
  for (size_t i = 0; i < event.runs.size() && i < static_cast<size_t>(runs.size()); ++i) {
    const RunFigures& run = event.runs[i];
    const bool has_joules = run.predicted_j > 0 && run.reported_j.has_value();
    if (!run.answered || !(run.expected_latency_s > 0 || has_joules)) continue;
    OfExpert& expert = Find(runs[static_cast<int>(i)].expert());
    if (run.expected_latency_s > 0) {
      expert.predicted_latency.Increment(run.expected_latency_s);
      expert.measured_latency.Increment(run.latency_s);
      expert.Promise(run.latency_s <= run.promised_latency_s).Increment();
    }
    if (!has_joules) continue;
    expert.PredictedJoules().Increment(run.predicted_j);
    expert.MeasuredJoules(run.method).Increment(*run.reported_j);
  }
}

}  // namespace penstock::router
