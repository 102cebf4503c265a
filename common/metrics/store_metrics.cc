#include "common/metrics/store_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include "common/logging/log.h"

namespace penstock {
namespace {

prometheus::Counter& MakeCounter(prometheus::Registry& registry, const std::string& store,
                                 const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add(
      {{"store", store}});
}

prometheus::Gauge& MakeGauge(prometheus::Registry& registry, const std::string& store,
                             const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({{"store", store}});
}

void Raise(prometheus::Counter& counter, int64_t was, int64_t is) {
  counter.Increment(static_cast<double>(is - was));
}

}  // namespace

struct StoreMetrics::Families {
  Families(prometheus::Registry& registry, const std::string& store)
      : connected(MakeGauge(registry, store, "penstock_store_connected",
                            "Whether there is a connection to the store, by store: 0 or 1.")),
        latency(MakeGauge(registry, store, "penstock_store_latency_seconds",
                          "Time to a reply of the store, smoothed over about 16 calls, by store.")),
        in_flight(MakeGauge(registry, store, "penstock_store_calls_in_flight",
                            "Calls of the store without a reply, by store.")),
        connections(MakeCounter(registry, store, "penstock_store_connections_total",
                                "Connections to the store that were made, by store.")),
        calls(MakeCounter(registry, store, "penstock_store_calls_total",
                          "Calls of the store that began, by store.")),
        failures(MakeCounter(registry, store, "penstock_store_failures_total",
                             "Calls of the store that ended with an error, by store.")),
        timeouts(MakeCounter(registry, store, "penstock_store_timeouts_total",
                             "Of the failures, those that their deadline ended, by store.")),
        refusals(MakeCounter(registry, store, "penstock_store_refusals_total",
                             "Of the failures, those of which too many were in flight, by store.")),
        not_there(MakeCounter(registry, store, "penstock_store_disconnected_calls_total",
                              "Of the failures, those without a connection, by store.")) {}

  prometheus::Gauge& connected;
  prometheus::Gauge& latency;
  prometheus::Gauge& in_flight;
  prometheus::Counter& connections;
  prometheus::Counter& calls;
  prometheus::Counter& failures;
  prometheus::Counter& timeouts;
  prometheus::Counter& refusals;
  prometheus::Counter& not_there;
};

StoreMetrics::StoreMetrics(prometheus::Registry& registry, const std::string& name,
                           const Store& store, const Clock& clock, Timers& timers)
    : name_(name),
      store_(store),
      clock_(clock),
      timers_(timers),
      families_(std::make_unique<Families>(registry, name)) {}

StoreMetrics::~StoreMetrics() = default;

void StoreMetrics::Start() { Tick(); }

void StoreMetrics::Stop() {
  MutexLock lock(mutex_);
  stopped_ = true;
  if (timer_ != 0) timers_.Cancel(timer_);
}

void StoreMetrics::Tick() {
  MutexLock lock(mutex_);
  if (stopped_) return;
  Tell(store_.state());
  timer_ = timers_.Schedule(clock_.Now() + kEvery, [weak = weak_from_this()] {
    if (auto self = weak.lock()) self->Tick();
  });
}

void StoreMetrics::Tell(const StoreState& state) {
  families_->connected.Set(state.connected ? 1 : 0);
  families_->latency.Set(absl::ToDoubleSeconds(state.latency));
  families_->in_flight.Set(static_cast<double>(state.in_flight));
  Raise(families_->connections, told_.connections, state.connections);
  Raise(families_->calls, told_.calls, state.calls);
  Raise(families_->failures, told_.failures, state.failures);
  Raise(families_->timeouts, told_.timeouts, state.timeouts);
  Raise(families_->refusals, told_.refusals, state.refusals);
  Raise(families_->not_there, told_.not_there, state.not_there);
  LogConnection(state);
  told_ = state;
}

void StoreMetrics::LogConnection(const StoreState& state) {
  // Before the first attempt there is neither a connection nor an error.
  const bool gone = !state.connected && !state.last_error.ok();
  if (gone && !told_gone_) {
    LogWarning("store")
        .With("store", name_)
        .With("connected", false)
        .With("reason", state.last_error.message());
    told_gone_ = true;
  } else if (state.connected && told_gone_) {
    LogInfo("store").With("store", name_).With("connected", true);
    told_gone_ = false;
  }
}

}  // namespace penstock
