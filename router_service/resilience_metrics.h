#pragma once

#include <memory>
#include <vector>

#include "router_service/metrics/pool_labels.h"
#include "router_service/pools/pool.h"

namespace prometheus {
class Registry;
}  // namespace prometheus

namespace penstock::router {

// What breakers, ejections and retries of pools did, and the state that each replica is in; a
// change of state is logged, of pools beyond what `labels` tells, too. Of an expert the addresses of
// 64 present replicas are told at most. Not thread-safe: one sweep after the other.
class ResilienceMetrics {
 public:
  // Both outlive this.
  ResilienceMetrics(prometheus::Registry& registry, PoolLabels& labels);
  ~ResilienceMetrics();

  // All pools, as they are now. Those that are not there any more leave no gauge behind.
  void Swept(const std::vector<std::shared_ptr<const Pool>>& pools, absl::Time now);

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace penstock::router
