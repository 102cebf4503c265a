#include "router_service/metrics/dispatch_metrics.h"

#include <prometheus/counter.h>

#include <utility>

#include "router_service/metrics/families.h"

namespace penstock::router {

DispatchFamilies::DispatchFamilies(prometheus::Registry& registry, double watts)
    : watts_per_core(watts),
      dispatches(MakeCounters(registry, "penstock_router_dispatches_total",
                              "Attempts at experts, by pool, expert and reason.")),
      degraded(MakeCounters(registry, "penstock_router_degraded_total",
                            "Answers that gave something up, by pool and reason.")),
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
      explored(MakeCounters(registry, "penstock_router_explored_total",
                            "Requests sent to another expert than the best known, to learn of "
                            "it, by pool.")) {}

PoolDispatches::PoolDispatches(DispatchFamilies& families, PoolLabels& labels, std::string pool)
    : families_(families),
      labels_(labels),
      pool_(std::move(pool)),
      joules_(families.joules.Add({{"pool", pool_}})),
      cpu_(families.cpu.Add({{"pool", pool_}})),
      overhead_(families.overhead.Add({{"pool", pool_}})),
      retries_(families.retries.Add({{"pool", pool_}})),
      escalations_(families.escalations.Add({{"pool", pool_}})) {}

prometheus::Counter& PoolDispatches::Get(Counters& family, const char* label,
                                         const std::string& word, ByWord& known) {
  prometheus::Counter*& counter = known[word];
  if (counter == nullptr) counter = &family.Add({{"pool", pool_}, {label, word}});
  return *counter;
}

PoolDispatches::ByWord& PoolDispatches::ExpertOf(const std::string& name) {
  if (const auto known = experts_.find(name); known != experts_.end()) return known->second;
  return labels_.LabelOf(pool_, name) == name ? experts_[name] : others_;
}

prometheus::Counter& PoolDispatches::Dispatch(const v1::Run& run) {
  ByWord& reasons = ExpertOf(run.expert());
  prometheus::Counter*& counter = reasons[run.reason()];
  if (counter == nullptr) {
    counter = &families_.dispatches.Add({{"pool", pool_},
                                         {"expert", labels_.LabelOf(pool_, run.expert())},
                                         {"reason", run.reason()}});
  }
  return *counter;
}

void PoolDispatches::CountRuns(const v1::Decision& decision) {
  for (const v1::Run& run : decision.runs()) {
    Dispatch(run).Increment();
    if (run.reason() == "retry") retries_.Increment();
    if (run.reason() == "hedge") {
      Get(families_.hedges, "outcome", run.status() == "OK" ? "won" : "lost", hedges_).Increment();
    }
    if (run.reason() == "escalation") escalations_.Increment();
  }
}

void PoolDispatches::RequestFinished(const RouteEvent& event) {
  const double cpu_s = absl::ToDoubleSeconds(event.cpu);
  cpu_.Increment(cpu_s);
  overhead_.Increment(cpu_s * families_.watts_per_core);
  if (event.decision == nullptr) return;
  const v1::Decision& decision = *event.decision;
  joules_.Increment(decision.energy_j());
  MutexLock lock(mutex_);
  if (event.hedges_refused > 0) {
    Get(families_.hedges, "outcome", "refused", hedges_)
        .Increment(static_cast<double>(event.hedges_refused));
  }
  if (decision.explored()) {
    if (explored_ == nullptr) explored_ = &families_.explored.Add({{"pool", pool_}});
    explored_->Increment();
  }
  if (!decision.degraded().empty()) {
    Get(families_.degraded, "reason", decision.degraded(), degraded_).Increment();
  }
  CountRuns(decision);
}

}  // namespace penstock::router
