#include "router_service/router_metrics.h"

#include <map>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include "common/mutex.h"
#include "router_service/pools/pool.h"

namespace penstock::router {
namespace {

using Counters = prometheus::Family<prometheus::Counter>;
using Histograms = prometheus::Family<prometheus::Histogram>;

// Powers of about 2.5 from 0.1 ms to 10 s.
const prometheus::Histogram::BucketBoundaries kLatencyBuckets = {
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
    0.1,    0.25,    0.5,    1,     2.5,    5,     10};

using Gauges = prometheus::Family<prometheus::Gauge>;

Gauges& MakeGauges(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
}

struct OfPool {
  prometheus::Histogram& latency;
  prometheus::Counter& joules;
  prometheus::Counter& cpu;
  prometheus::Counter& overhead;
  prometheus::Counter& retries;
  prometheus::Counter& escalations;
};

Counters& MakeCounters(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

}  // namespace

struct RouterMetrics::State {
  State(prometheus::Registry& registry, double watts)
      : watts_per_core(watts),
        requests(MakeCounters(registry, "penstock_router_requests_total",
                              "Requests answered, by pool and status code.")),
        dispatches(MakeCounters(registry, "penstock_router_dispatches_total",
                                "Attempts at experts, by pool, expert and reason.")),
        degraded(MakeCounters(registry, "penstock_router_degraded_total",
                              "Answers that gave something up, by pool and reason.")),
        latency(prometheus::BuildHistogram()
                    .Name("penstock_router_latency_seconds")
                    .Help("Time from a request's arrival to its answer, by pool.")
                    .Register(registry)),
        joules(MakeCounters(registry, "penstock_router_energy_joules_total",
                            "Joules of the experts, reported with answers, by pool.")),
        cpu(MakeCounters(registry, "penstock_router_overhead_cpu_seconds_total",
                         "CPU of the routing itself, without sockets, by pool.")),
        overhead(MakeCounters(registry, "penstock_router_overhead_joules_total",
                              "Joules of the routing itself: its CPU at watts_per_core, by pool.")),
        retries(MakeCounters(registry, "penstock_router_retries_total",
                             "Second attempts, elsewhere, by pool.")),
        hedges(MakeCounters(registry, "penstock_router_hedges_total",
                            "Second attempts beside slow ones, by pool and outcome: won (its "
                            "answer came first), lost, refused (there had been enough of them).")),
        escalations(MakeCounters(registry, "penstock_router_escalations_total",
                                 "Dearer experts asked after a first answer, by pool.")),
        plans(MakeCounters(registry, "penstock_router_plans_total",
                           "Plans of admissible experts made, by pool and reason.")),
        congestion_gamma(MakeGauges(registry, "penstock_router_congestion_gamma",
                                    "Price of load that keeps experts to max_utilisation, in units "
                                    "of the noise of choice, by pool.")),
        congestion_gamma_effective(
            MakeGauges(registry, "penstock_router_congestion_gamma_effective",
                       "Price of load that explains the experts' shares best: rising, balance "
                       "outweighs quality; near 0, the load follows quality alone. By pool.")),
        explored(MakeCounters(registry, "penstock_router_explored_total",
                              "Requests sent to another expert than the best known, to learn of "
                              "it, by pool.")),
        others(MakeGauges(registry, "penstock_router_other_routers",
                          "Other routers whose requests in flight are known through the store.")
                   .Add({})),
        others_in_flight(MakeGauges(registry, "penstock_router_others_in_flight_requests",
                                    "Their requests in flight, at replicas that tell their load to "
                                    "nobody by themselves.")
                             .Add({})),
        awake(prometheus::BuildGauge()
                  .Name("penstock_router_expert_awake")
                  .Help("1: the pool's plan keeps the expert awake; 0: it may sleep.")
                  .Register(registry)) {}

  void AddPool(const std::string& name) {
    MutexLock lock(mutex);
    if (pools.count(name) > 0 || (pools.size() >= kMostPools && name != "other")) return;
    const prometheus::Labels label = {{"pool", name}};
    pools.emplace(name, OfPool{latency.Add(label, kLatencyBuckets), joules.Add(label),
                               cpu.Add(label), overhead.Add(label), retries.Add(label), escalations.Add(label)});
  }

  std::pair<const std::string, OfPool>& Find(const std::string& name) {
    MutexLock lock(mutex);
    const auto found = pools.find(name);
    return found == pools.end() ? *pools.find("other") : *found;
  }

  const double watts_per_core;
  Counters& requests;
  Counters& dispatches;
  Counters& degraded;
  Histograms& latency;
  Counters& joules;
  Counters& cpu;
  Counters& overhead;
  Counters& retries;
  Counters& hedges;
  Counters& escalations;
  Counters& plans;
  Gauges& congestion_gamma;
  Gauges& congestion_gamma_effective;
  Counters& explored;
  prometheus::Gauge& others;
  prometheus::Gauge& others_in_flight;
  Gauges& awake;
  Mutex mutex;
  // Grows alone: what was found stays there.
  std::map<std::string, OfPool> pools ABSL_GUARDED_BY(mutex);
};

RouterMetrics::RouterMetrics(prometheus::Registry& registry, const std::vector<std::string>& pools,
                             double watts_per_core)
    : state_(std::make_unique<State>(registry, watts_per_core)) {
  state_->AddPool("other");
  for (const std::string& pool : pools) state_->AddPool(pool);
}

RouterMetrics::~RouterMetrics() = default;

void RouterMetrics::AddPool(const std::string& pool) { state_->AddPool(pool); }

void RouterMetrics::RequestFinished(const RouteEvent& event) {
  const auto& [name, pool] = state_->Find(std::string(event.pool));
  state_->requests.Add({{"pool", name}, {"code", absl::StatusCodeToString(event.code)}}).Increment();
  pool.latency.Observe(absl::ToDoubleSeconds(event.latency));
  const double cpu_s = absl::ToDoubleSeconds(event.cpu);
  pool.cpu.Increment(cpu_s);
  pool.overhead.Increment(cpu_s * state_->watts_per_core);
  if (event.congestion) {
    state_->congestion_gamma.Add({{"pool", name}}).Set(event.congestion->gamma);
    state_->congestion_gamma_effective.Add({{"pool", name}}).Set(event.congestion->gamma_effective);
  }
  if (event.decision == nullptr) return;
  const v1::Decision& decision = *event.decision;
  pool.joules.Increment(decision.energy_j());
  if (event.hedges_refused > 0) {
    state_->hedges.Add({{"pool", name}, {"outcome", "refused"}})
        .Increment(static_cast<double>(event.hedges_refused));
  }
  if (decision.explored()) state_->explored.Add({{"pool", name}}).Increment();
  if (!decision.degraded().empty()) {
    state_->degraded.Add({{"pool", name}, {"reason", decision.degraded()}}).Increment();
  }
  for (const v1::Run& run : decision.runs()) {
    state_->dispatches
        .Add({{"pool", name}, {"expert", run.expert()}, {"reason", run.reason()}})
        .Increment();
    if (run.reason() == "retry") pool.retries.Increment();
    if (run.reason() == "hedge") {
      const char* outcome = run.status() == "OK" ? "won" : "lost";
      state_->hedges.Add({{"pool", name}, {"outcome", outcome}}).Increment();
    }
    if (run.reason() == "escalation") pool.escalations.Increment();
  }
}

void RouterMetrics::OthersKnown(size_t routers, uint64_t in_flight) {
  state_->others.Set(static_cast<double>(routers));
  state_->others_in_flight.Set(static_cast<double>(in_flight));
}

void RouterMetrics::PlanMade(const Pool& pool, const AdmissionPlan& plan) {
  state_->plans.Add({{"pool", pool.name()}, {"reason", std::string(ReplanReasonName(plan.reason))}})
      .Increment();
  for (size_t i = 0; i < plan.awake.size(); ++i) {
    state_->awake.Add({{"pool", pool.name()}, {"expert", pool.expert_names[i]}}).Set(plan.awake[i]);
  }
}

}  // namespace penstock::router
