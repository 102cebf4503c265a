#pragma once

#include <memory>
#include <string>
#include <vector>

#include "router_service/dispatch/route_observer.h"

namespace prometheus {
class Registry;
}  // namespace prometheus

namespace penstock::router {

struct AdmissionPlan;
struct Pool;

// The router's Prometheus metrics; their names appear nowhere else. Thread-safe.
class RouterMetrics final : public RouteObserver {
 public:
  // Pools beyond, removed ones included, count under "other".
  static constexpr size_t kMostPools = 1000;

  // `pools`: the label's values; requests for other names count under "other". `watts_per_core`: of
  // a busy core, for the joules of the routing itself.
  RouterMetrics(prometheus::Registry& registry, const std::vector<std::string>& pools,
                double watts_per_core);
  ~RouterMetrics() override;

  // Another value of the label; one that is known already changes nothing.
  void AddPool(const std::string& pool);
  void RequestFinished(const RouteEvent& event) override;
  // A plan of `pool` was made.
  void PlanMade(const Pool& pool, const AdmissionPlan& plan);
  // What is known of other routers: so many, with so many requests in flight.
  void OthersKnown(size_t routers, uint64_t in_flight);

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace penstock::router
