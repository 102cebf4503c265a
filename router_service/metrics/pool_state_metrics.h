#pragma once

#include <prometheus/registry.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "router_service/metrics/swept_metrics.h"
#include "router_service/pools/pool.h"

namespace penstock::router {

// What pools hold that is read rather than counted: prices of load, and whom the plan keeps awake.
// Not thread-safe: one sweep after the other.
class PoolStateMetrics {
 public:
  // Both outlive this.
  PoolStateMetrics(prometheus::Registry& registry, PoolLabels& labels);

  // All pools, as they are now, and their names. Those that are not there any more leave no gauge
  // behind.
  void Swept(const std::vector<std::shared_ptr<const Pool>>& pools,
             const std::set<std::string>& names);

 private:
  PoolGauges gamma_;
  PoolGauges gamma_effective_;
  ExpertGauges awake_;
};

}  // namespace penstock::router
