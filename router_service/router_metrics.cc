#include "router_service/router_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <set>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_replace.h"
#include "common/mutex.h"
#include "router_service/metrics/calibration_metrics.h"
#include "router_service/metrics/dispatch_metrics.h"
#include "router_service/metrics/energy_metrics.h"
#include "router_service/metrics/outcome_metrics.h"
#include "router_service/metrics/pool_state_metrics.h"
#include "router_service/metrics/quality_metrics.h"
#include "router_service/pools/pool.h"

namespace penstock::router {
namespace {

prometheus::Gauge& MakeGauge(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
}

}  // namespace

struct RouterMetrics::State {
  // A request looks its pool up once.
  struct OfPool {
    OfPool(State& state, const std::string& name)
        : outcomes(state.outcomes, name),
          dispatches(state.dispatches, state.labels, name),
          calibration(state.calibration, state.labels, name) {}

    PoolOutcomes outcomes;
    PoolDispatches dispatches;
    PoolCalibration calibration;
    PoolQuality quality;
  };

  State(prometheus::Registry& registry, PoolLabels& labels_in, double watts)
      : labels(labels_in),
        outcomes(registry),
        dispatches(registry, watts),
        calibration(registry),
        tenants(registry),
        quality(registry, labels),
        pool_state(registry, labels),
        plans(prometheus::BuildCounter()
                  .Name("penstock_router_plans_total")
                  .Help("Plans of admissible experts made, by pool and reason.")
                  .Register(registry)),
        others(MakeGauge(registry, "penstock_router_other_routers",
                         "Other routers whose requests in flight are known through the store.")),
        others_in_flight(MakeGauge(registry, "penstock_router_others_in_flight_requests",
                                   "Their requests in flight, at replicas that tell their load to "
                                   "nobody by themselves.")),
        other(*this, PoolLabels::kOther) {}

  OfPool& Find(absl::string_view name) {
    MutexLock lock(mutex);
    const auto found = pools.find(name);
    return found == pools.end() ? other : *found->second;
  }

  PoolLabels& labels;
  OutcomeFamilies outcomes;
  DispatchFamilies dispatches;
  CalibrationFamilies calibration;
  EnergyMetrics tenants;
  QualityMetrics quality;
  PoolStateMetrics pool_state;
  prometheus::Family<prometheus::Counter>& plans;
  prometheus::Gauge& others;
  prometheus::Gauge& others_in_flight;
  OfPool other;
  Mutex mutex;
  // Grows alone: what was found stays there.
  absl::flat_hash_map<std::string, std::unique_ptr<OfPool>> pools ABSL_GUARDED_BY(mutex);
};

RouterMetrics::RouterMetrics(prometheus::Registry& registry, PoolLabels& labels,
                             const std::vector<std::string>& pools, double watts_per_core)
    : state_(std::make_unique<State>(registry, labels, watts_per_core)) {
  for (const std::string& pool : pools) AddPool(pool);
}

RouterMetrics::~RouterMetrics() = default;

void RouterMetrics::AddPool(const std::string& pool) {
  if (!state_->labels.Admit(pool)) return;
  MutexLock lock(state_->mutex);
  std::unique_ptr<State::OfPool>& series = state_->pools[pool];
  if (series == nullptr) series = std::make_unique<State::OfPool>(*state_, pool);
}

void RouterMetrics::RequestFinished(const RouteEvent& event) {
  State::OfPool& pool = state_->Find(event.pool);
  pool.outcomes.RequestFinished(event);
  pool.dispatches.RequestFinished(event);
  pool.calibration.RequestFinished(event);
  pool.quality.RequestFinished(event);
  state_->tenants.RequestFinished(event);
}

void RouterMetrics::OthersKnown(size_t routers, uint64_t in_flight) {
  state_->others.Set(static_cast<double>(routers));
  state_->others_in_flight.Set(static_cast<double>(in_flight));
}

void RouterMetrics::PlanMade(const Pool& pool, const AdmissionPlan& plan) {
  state_->plans
      .Add({{"pool", state_->labels.LabelOf(pool.name())},
            {"reason", absl::StrReplaceAll(ReplanReasonName(plan.reason), {{" ", "_"}})}})
      .Increment();
}

void RouterMetrics::Swept(const std::vector<std::shared_ptr<const Pool>>& pools, absl::Time now) {
  std::set<std::string> names;
  for (const std::shared_ptr<const Pool>& pool : pools) names.insert(pool->name());
  state_->pool_state.Swept(pools, names);
  if (!state_->quality.Due(now)) return;
  for (const std::string& name : names) {
    State::OfPool& series = state_->Find(name);
    if (&series != &state_->other) state_->quality.Tell(name, series.quality.Take());
  }
  state_->quality.KeepOnly(names);
}

}  // namespace penstock::router
