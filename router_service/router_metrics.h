#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "router_service/dispatch/route_observer.h"
#include "router_service/metrics/pool_labels.h"

namespace prometheus {
class Registry;
}  // namespace prometheus

namespace penstock::router {

struct AdmissionPlan;
struct Pool;

// What the router's requests and plans are counted in. Thread-safe.
class RouterMetrics final : public RouteObserver {
 public:
  // `pools`: the label's values, as far as `labels` has room; requests for other names count under
  // "other". `watts_per_core`: of a busy core, for the joules of the routing itself.
  RouterMetrics(prometheus::Registry& registry, PoolLabels& labels,
                const std::vector<std::string>& pools, double watts_per_core);
  ~RouterMetrics() override;

  // Another value of the label; one that is known already changes nothing.
  void AddPool(const std::string& pool);
  void RequestFinished(const RouteEvent& event) override;
  // A plan of `pool` was made.
  void PlanMade(const Pool& pool, const AdmissionPlan& plan);
  // What is known of other routers: so many, with so many requests in flight.
  void OthersKnown(size_t routers, uint64_t in_flight);
  // All pools, as they are now: what is read rather than counted. Those that are not there any more
  // leave no gauge behind. One sweep after the other.
  void Swept(const std::vector<std::shared_ptr<const Pool>>& pools, absl::Time now);

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace penstock::router
