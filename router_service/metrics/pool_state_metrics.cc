#include "router_service/metrics/pool_state_metrics.h"

#include <prometheus/gauge.h>

#include <limits>

#include "router_service/metrics/families.h"

namespace penstock::router {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

// Of a pool whose load has no price, or has none any more: not known.
CongestionPrice::Figures PriceOf(const Pool& pool) {
  const CongestionPrice* const price = pool.record->congestion.get();
  if (price != nullptr) return price->figures();
  CongestionPrice::Figures none;
  none.gamma = none.gamma_effective = kUnknown;
  return none;
}

// [experts]; of a pool without a plan, or with one of before a reload, of other experts: not known.
std::vector<double> AwakeOf(const Pool& pool) {
  const size_t experts = pool.expert_names.size();
  const auto plan = pool.record->planner == nullptr ? nullptr : pool.record->planner->plan();
  if (plan == nullptr || plan->awake.size() != experts) {
    return std::vector<double>(experts, kUnknown);
  }
  return {plan->awake.begin(), plan->awake.end()};
}

}  // namespace

PoolStateMetrics::PoolStateMetrics(prometheus::Registry& registry, PoolLabels& labels)
    : gamma_(MakeGauges(registry, "penstock_router_congestion_gamma",
                        "Price of load that keeps experts to max_utilisation, in units of the "
                        "noise of choice, by pool."),
             labels),
      gamma_effective_(
          MakeGauges(registry, "penstock_router_congestion_gamma_effective",
                     "Price of load that explains the experts' shares best: rising, balance "
                     "outweighs quality; near 0, the load follows quality alone. By pool."),
          labels),
      awake_(MakeGauges(registry, "penstock_router_expert_awake",
                        "1: the pool's plan keeps the expert awake; 0: it may sleep."),
             labels) {}

void PoolStateMetrics::Swept(const std::vector<std::shared_ptr<const Pool>>& pools,
                             const std::set<std::string>& names) {
  for (const std::shared_ptr<const Pool>& pool : pools) {
    const CongestionPrice::Figures price = PriceOf(*pool);
    gamma_.Set(pool->name(), price.gamma);
    gamma_effective_.Set(pool->name(), price.gamma_effective);
    awake_.Set(pool->name(), pool->expert_names, AwakeOf(*pool));
  }
  gamma_.KeepOnly(names);
  gamma_effective_.KeepOnly(names);
  awake_.KeepOnly(names);
}

}  // namespace penstock::router
