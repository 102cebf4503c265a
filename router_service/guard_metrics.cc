#include "router_service/guard_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <set>
#include <utility>

#include "router_service/guards/concentration_index.h"

namespace penstock::router {

struct GuardMetrics::OfPool {
  OfPool(prometheus::Gauge& index, prometheus::Counter& disagreements, size_t experts)
      : disagree(disagreements), concentration(&index), window(experts) {}

  // Its gauge is another's from here on, or nobody's. -> the gauge
  prometheus::Gauge* GiveUpGauge() {
    MutexLock lock(mutex);
    return std::exchange(concentration, nullptr);
  }

  prometheus::Counter& disagree;
  std::set<std::string> flagged;           // fixed
  std::map<std::string, size_t> index_of;  // fixed; by expert
  Mutex mutex;
  prometheus::Gauge* concentration ABSL_GUARDED_BY(mutex);
  ConcentrationWindow window ABSL_GUARDED_BY(mutex);
};

GuardMetrics::GuardMetrics(prometheus::Registry& registry, PoolLabels& labels,
                           const config::v1::Router& config, RouteObserver& next)
    : registry_(registry),
      labels_(labels),
      next_(next),
      pools_(std::make_shared<const Pools>()) {
  Update(config);
}

void GuardMetrics::Update(const config::v1::Router& config) {
  const std::shared_ptr<const Pools> before = Current();
  auto pools = std::make_shared<Pools>();
  // The registry has each family once, whoever asks for it again.
  auto& index =
      prometheus::BuildGauge()
          .Name("penstock_router_concentration_index")
          .Help(
              "Largest difference of an expert's share between flagged and other requests of "
              "late, by pool; NaN: too few of either.")
          .Register(registry_);
  auto& disagree = prometheus::BuildCounter()
                       .Name("penstock_router_features_disagree_total")
                       .Help("Requests whose best expert differs on a shortened prompt, by pool.")
                       .Register(registry_);
  for (const config::v1::Pool& pool : config.pools()) {
    const config::v1::Guards& guards = pool.guards();
    if (guards.flagged_classes().empty() && !guards.disagreement()) continue;
    if (!labels_.Admit(pool.name())) continue;
    const prometheus::Labels label = {{"pool", pool.name()}};
    auto of_pool = std::make_shared<OfPool>(index.Add(label), disagree.Add(label),
                                            static_cast<size_t>(pool.experts_size()));
    of_pool->flagged = {guards.flagged_classes().begin(), guards.flagged_classes().end()};
    for (int i = 0; i < pool.experts_size(); ++i) {
      of_pool->index_of[pool.experts(i).name()] = static_cast<size_t>(i);
    }
    if (const auto known = before->find(pool.name());
        known != before->end() && known->second->flagged == of_pool->flagged &&
        known->second->index_of == of_pool->index_of) {
      of_pool = known->second;
    } else {
      // Who counted before has the same gauge.
      if (known != before->end()) known->second->GiveUpGauge();
      index.Add(label).Set(std::numeric_limits<double>::quiet_NaN());
    }
    pools->emplace(pool.name(), std::move(of_pool));
  }
  for (const auto& [name, gone] : *before) {
    if (pools->count(name) == 0) index.Remove(gone->GiveUpGauge());
  }
  MutexLock lock(mutex_);
  pools_ = std::move(pools);
}

std::shared_ptr<const GuardMetrics::Pools> GuardMetrics::Current() const {
  MutexLock lock(mutex_);
  return pools_;
}

GuardMetrics::~GuardMetrics() = default;

void GuardMetrics::RequestFinished(const RouteEvent& event) {
  const std::shared_ptr<const Pools> pools = Current();
  const auto found = pools->find(event.pool);
  if (found != pools->end() && event.decision != nullptr) {
    OfPool& pool = *found->second;
    const v1::Decision& decision = *event.decision;
    const auto& flags = decision.guard_flags();
    if (std::find(flags.begin(), flags.end(), "features_disagree") != flags.end()) {
      pool.disagree.Increment();
    }
    // The first of the chosen has the largest weight.
    const auto chosen = std::find_if(decision.runs().begin(), decision.runs().end(),
                                     [](const v1::Run& run) { return run.reason() == "chosen"; });
    if (!pool.flagged.empty() && chosen != decision.runs().end()) {
      const bool flagged = pool.flagged.count(decision.application_class()) != 0;
      const auto expert = pool.index_of.find(chosen->expert());
      MutexLock lock(pool.mutex);
      if (expert != pool.index_of.end()) pool.window.Add(expert->second, flagged);
      if (const std::optional<double> index = pool.window.Index()) {
        if (pool.concentration != nullptr) pool.concentration->Set(*index);
      }
    }
  }
  next_.RequestFinished(event);
}

}  // namespace penstock::router
