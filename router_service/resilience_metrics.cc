#include "router_service/resilience_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <algorithm>
#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/logging/log.h"
#include "router_service/metrics/families.h"

namespace penstock::router {
namespace {

// As many as a name of an expert's replicas stands for.
constexpr size_t kMostReplicas = 64;

// A record's total becomes a counter's, though records begin anew.
class Total {
 public:
  explicit Total(prometheus::Counter& counter) : counter_(counter) {}
  void Restart() { told_ = 0; }
  void Tell(uint64_t total) {
    if (total > told_) counter_.Increment(static_cast<double>(total - told_));
    told_ = total;
  }

 private:
  prometheus::Counter& counter_;
  uint64_t told_ = 0;
};

struct OfExpert {
  Total openings;
  Total ejections_by_success_rate;
  Total ejections_by_latency;
  prometheus::Gauge* ejected = nullptr;
};

struct OfPool {
  std::shared_ptr<const PoolRecord> record;  // that the totals are of
  std::vector<Total> retries;                // by RetryResult
  prometheus::Gauge* tokens = nullptr;
  std::map<std::string, OfExpert> experts;
};

// Of one replica.
struct Breaker {
  prometheus::Gauge* gauge = nullptr;  // null: beyond what is told
  BreakerState state = BreakerState::kClosed;
  bool seen = false;
};

}  // namespace

struct ResilienceMetrics::State {
  State(prometheus::Registry& registry, PoolLabels& labels_in)
      : labels(labels_in),
        breakers(MakeGauges(registry, "penstock_router_breaker_state",
                            "Of each replica, by pool, expert and replica: 0 closed, 1 half-open, "
                            "2 open.")),
        openings(MakeCounters(registry, "penstock_router_breaker_openings_total",
                              "Breakers that failed requests opened, by pool and expert.")),
        ejected(MakeGauges(registry, "penstock_router_ejected_replicas",
                           "Replicas that are ejected as outliers, by pool and expert.")),
        ejections(MakeCounters(registry, "penstock_router_ejections_total",
                               "Replicas ejected, by pool, expert and reason (success_rate, "
                               "latency).")),
        retries(MakeCounters(registry, "penstock_router_retry_results_total",
                             "What failed and was asked again, or would have been, by pool and "
                             "result.")),
        tokens(MakeGauges(registry, "penstock_router_retry_budget_tokens",
                          "Retries that the pool's budget covers at this moment, by pool.")) {}

  OfPool& PoolOf(const Pool& pool);
  // Null: beyond what is told.
  OfExpert* ExpertOf(OfPool& of_pool, const std::string& pool, const std::string& expert);
  void Tell(const Pool& pool, absl::Time now);
  void TellReplicas(const Pool& pool, const PoolExpert& expert);
  void DropGone(const std::vector<std::shared_ptr<const Pool>>& pools);

  PoolLabels& labels;
  Gauges& breakers;
  Counters& openings;
  Gauges& ejected;
  Counters& ejections;
  Counters& retries;
  Gauges& tokens;
  std::map<std::string, OfPool> pools;
  std::map<std::tuple<std::string, std::string, std::string>, Breaker> replicas;
};

ResilienceMetrics::ResilienceMetrics(prometheus::Registry& registry, PoolLabels& labels)
    : state_(std::make_unique<State>(registry, labels)) {}

ResilienceMetrics::~ResilienceMetrics() = default;

void ResilienceMetrics::Swept(const std::vector<std::shared_ptr<const Pool>>& pools,
                              absl::Time now) {
  for (auto& [key, breaker] : state_->replicas) breaker.seen = false;
  for (const std::shared_ptr<const Pool>& pool : pools) state_->Tell(*pool, now);
  state_->DropGone(pools);
}

OfPool& ResilienceMetrics::State::PoolOf(const Pool& pool) {
  OfPool& of_pool = pools[pool.name()];
  if (of_pool.retries.empty()) {
    of_pool.tokens = &tokens.Add({{"pool", pool.name()}});
    for (size_t i = 0; i < kRetryResults; ++i) {
      of_pool.retries.emplace_back(
          retries.Add({{"pool", pool.name()},
                       {"result", std::string(RetryResultName(static_cast<RetryResult>(i)))}}));
    }
  }
  if (of_pool.record != pool.record) {
    of_pool.record = pool.record;
    for (Total& total : of_pool.retries) total.Restart();
    for (auto& [name, expert] : of_pool.experts) {
      expert.openings.Restart();
      expert.ejections_by_success_rate.Restart();
      expert.ejections_by_latency.Restart();
    }
  }
  return of_pool;
}

OfExpert* ResilienceMetrics::State::ExpertOf(OfPool& of_pool, const std::string& pool,
                                             const std::string& expert) {
  const auto found = of_pool.experts.find(expert);
  if (found != of_pool.experts.end()) return &found->second;
  if (!labels.Admit(pool, expert)) return nullptr;
  const prometheus::Labels label = {{"pool", pool}, {"expert", expert}};
  const auto by = [&](EjectionReason reason) -> prometheus::Counter& {
    prometheus::Labels with_reason = label;
    with_reason.emplace("reason", absl::StrReplaceAll(EjectionReasonName(reason), {{" ", "_"}}));
    return ejections.Add(with_reason);
  };
  OfExpert of_expert{Total(openings.Add(label)), Total(by(EjectionReason::kSuccessRate)),
                     Total(by(EjectionReason::kLatency)), &ejected.Add(label)};
  return &of_pool.experts.emplace(expert, of_expert).first->second;
}

void ResilienceMetrics::State::Tell(const Pool& pool, absl::Time now) {
  for (const PoolExpert& expert : pool.experts) TellReplicas(pool, expert);
  if (!labels.Admit(pool.name())) return;
  OfPool& of_pool = PoolOf(pool);
  const ResilienceRecord& record = pool.record->resilience;
  for (size_t i = 0; i < kRetryResults; ++i) {
    of_pool.retries[i].Tell(record.retries(static_cast<RetryResult>(i)));
  }
  if (pool.record->retries != nullptr) of_pool.tokens->Set(pool.record->retries->tokens(now));
  for (size_t i = 0; i < pool.experts.size(); ++i) {
    OfExpert* const known = ExpertOf(of_pool, pool.name(), pool.experts[i].name);
    if (known == nullptr) continue;
    OfExpert& expert = *known;
    expert.openings.Tell(record.openings(i));
    expert.ejections_by_success_rate.Tell(record.ejections(i, EjectionReason::kSuccessRate));
    expert.ejections_by_latency.Tell(record.ejections(i, EjectionReason::kLatency));
    const auto& replicas_of = pool.experts[i].replicas;
    expert.ejected->Set(static_cast<double>(std::count_if(
        replicas_of.begin(), replicas_of.end(), [](const std::shared_ptr<Replica>& replica) {
          return replica->guard().ejected() != EjectionReason::kNone;
        })));
  }
}

void ResilienceMetrics::State::TellReplicas(const Pool& pool, const PoolExpert& expert) {
  const size_t told = std::min(expert.replicas.size(), kMostReplicas);
  for (size_t i = 0; i < told; ++i) {
    const ReplicaGuard& guard = expert.replicas[i]->guard();
    if (!guard.has_breaker()) continue;
    const std::string address = expert.replicas[i]->address();
    Breaker& breaker = replicas[{pool.name(), expert.name, address}];
    if (breaker.gauge == nullptr && labels.Admit(pool.name(), expert.name)) {
      breaker.gauge =
          &breakers.Add({{"pool", pool.name()}, {"expert", expert.name}, {"replica", address}});
    }
    const BreakerState state = guard.state();
    if (breaker.gauge != nullptr) breaker.gauge->Set(static_cast<double>(state));
    breaker.seen = true;
    if (state == breaker.state) continue;
    breaker.state = state;
    const bool open = state == BreakerState::kOpen;
    LogEvent event(open ? LogLevel::kWarning : LogLevel::kInfo, "breaker");
    event.With("pool", pool.name())
        .With("expert", expert.name)
        .With("replica", address)
        .With("breaker", BreakerStateName(state));
    if (open) event.With("until", absl::FormatTime(guard.open_until()));
  }
}

void ResilienceMetrics::State::DropGone(const std::vector<std::shared_ptr<const Pool>>& present) {
  for (auto it = replicas.begin(); it != replicas.end();) {
    if (it->second.seen) {
      ++it;
      continue;
    }
    if (it->second.gauge != nullptr) breakers.Remove(it->second.gauge);
    it = replicas.erase(it);
  }
  for (auto it = pools.begin(); it != pools.end();) {
    const auto found = std::find_if(
        present.begin(), present.end(),
        [&](const std::shared_ptr<const Pool>& pool) { return pool->name() == it->first; });
    auto& experts = it->second.experts;
    for (auto expert = experts.begin(); expert != experts.end();) {
      if (found != present.end() && (*found)->FindExpert(expert->first)) {
        ++expert;
        continue;
      }
      ejected.Remove(expert->second.ejected);
      expert = experts.erase(expert);
    }
    if (found != present.end()) {
      ++it;
      continue;
    }
    tokens.Remove(it->second.tokens);
    it = pools.erase(it);
  }
}

}  // namespace penstock::router
