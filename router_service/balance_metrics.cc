#include "router_service/balance_metrics.h"

#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/mutex.h"
#include "router_service/metrics/families.h"

namespace penstock::router {
namespace {

using Family = prometheus::Family<prometheus::Gauge>;
using PoolExperts = BalanceExchange::PoolExperts;

// In nats. The shares of experts that are gone are not among them: of what is left.
double EntropyOf(const std::vector<double>& shares) {
  const double sum = std::accumulate(shares.begin(), shares.end(), 0.0);
  double entropy = 0;
  for (const double share : shares) {
    if (share > 0) entropy -= share / sum * std::log(share / sum);
  }
  return entropy;
}

}  // namespace

class BalanceMetrics::Gauges {
 public:
  Gauges(prometheus::Registry& registry, PoolLabels& labels)
      : labels_(labels),
        losses_(MakeGauges(registry, "penstock_router_balance_loss",
                           "n sum f_i p_i over all routers' choices of the last ten seconds, by "
                           "pool: 1 where they are even, n where one of n experts has them all.")),
        choices_(MakeGauges(registry, "penstock_router_expert_choice_share",
                            "Share of all routers' choices of the last ten seconds, by pool and "
                            "expert.")),
        gates_(MakeGauges(registry, "penstock_router_expert_gate_share",
                          "Mean gate probability over all routers' requests of the last ten "
                          "seconds, by pool and expert.")),
        entropies_(MakeGauges(
            registry, "penstock_router_gate_entropy_nats",
            "Entropy of the mean gate distribution over all routers' requests of the last ten "
            "seconds, - sum p_i log p_i, by pool: 0 where the gate gives all requests to one "
            "expert, log n where it prefers none of n, or each as often; not the mean of the "
            "requests' own entropies.")) {}

  // Those that are gone leave no gauge behind.
  void KeepOnly(const std::vector<PoolExperts>& present) {
    MutexLock lock(mutex_);
    for (auto it = told_.begin(); it != told_.end();) {
      const auto found = std::find_if(present.begin(), present.end(), [&](const PoolExperts& pool) {
        return pool.pool == it->first.first;
      });
      if (found != present.end() && Has(*found, it->first.second)) {
        ++it;
        continue;
      }
      const OfExpert& gone = it->second;
      if (gone.loss != nullptr) losses_.Remove(gone.loss);
      if (gone.entropy != nullptr) entropies_.Remove(gone.entropy);
      if (gone.choices != nullptr) choices_.Remove(gone.choices);
      if (gone.gates != nullptr) gates_.Remove(gone.gates);
      it = told_.erase(it);
    }
  }

  void Tell(const PoolExperts& pool, const std::optional<Balance>& balance) {
    constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
    MutexLock lock(mutex_);
    OfExpert& all = told_[{pool.pool, ""}];
    if (all.loss == nullptr) {
      all.loss = &losses_.Add({{"pool", pool.pool}});
      all.entropy = &entropies_.Add({{"pool", pool.pool}});
    }
    all.loss->Set(balance.has_value() ? balance->loss : kUnknown);
    all.entropy->Set(balance.has_value() ? EntropyOf(balance->gate) : kUnknown);
    for (size_t i = 0; i < pool.experts.size(); ++i) {
      OfExpert& expert = told_[{pool.pool, pool.experts[i]}];
      if (expert.choices == nullptr) {
        if (!labels_.Admit(pool.pool, pool.experts[i])) continue;
        const prometheus::Labels labels = {{"pool", pool.pool}, {"expert", pool.experts[i]}};
        expert.choices = &choices_.Add(labels);
        expert.gates = &gates_.Add(labels);
      }
      expert.choices->Set(balance.has_value() ? balance->chosen[i] : kUnknown);
      expert.gates->Set(balance.has_value() ? balance->gate[i] : kUnknown);
    }
  }

 private:
  struct OfExpert {
    prometheus::Gauge* loss = nullptr;     // of the pool, under the expert ""
    prometheus::Gauge* entropy = nullptr;  // likewise
    prometheus::Gauge* choices = nullptr;
    prometheus::Gauge* gates = nullptr;
  };

  static bool Has(const PoolExperts& pool, const std::string& expert) {
    return expert.empty() ||
           std::find(pool.experts.begin(), pool.experts.end(), expert) != pool.experts.end();
  }

  PoolLabels& labels_;
  Family& losses_;
  Family& choices_;
  Family& gates_;
  Family& entropies_;
  Mutex mutex_;
  std::map<std::pair<std::string, std::string>, OfExpert> told_ ABSL_GUARDED_BY(mutex_);
};

BalanceMetrics::BalanceMetrics(const Deps& deps)
    : next_(deps.next),
      gauges_(std::make_shared<Gauges>(deps.registry, deps.labels)),
      exchange_(std::make_shared<BalanceExchange>(BalanceExchange::Deps{
          deps.store, deps.clock, deps.timers,
          [&catalogue = deps.catalogue, &labels = deps.labels, gauges = gauges_] {
            std::vector<PoolExperts> pools;
            for (const std::shared_ptr<const Pool>& pool : catalogue.All()) {
              if (!labels.Admit(pool->name())) continue;
              pools.push_back({pool->name(), pool->expert_names});
            }
            gauges->KeepOnly(pools);
            return pools;
          },
          [gauges = gauges_](const PoolExperts& pool, const std::optional<Balance>& balance) {
            gauges->Tell(pool, balance);
          }})) {}

BalanceMetrics::~BalanceMetrics() = default;

void BalanceMetrics::RequestFinished(const RouteEvent& event) {
  if (event.decision != nullptr && !event.pool.empty()) {
    exchange_->Add(event.pool, *event.decision);
  }
  next_.RequestFinished(event);
}

}  // namespace penstock::router
