#pragma once

#include "router_service/dispatch/route_observer.h"
#include "router_service/usage/usage_counts.h"

namespace penstock::router {

// Counts what requests took for their tenants, on its way to `next`. Thread-safe.
class UsageObserver final : public RouteObserver {
 public:
  // Both outlive this.
  UsageObserver(UsageCounts& counts, RouteObserver& next) : counts_(counts), next_(next) {}

  void RequestFinished(const RouteEvent& event) override;

 private:
  UsageCounts& counts_;
  RouteObserver& next_;
};

}  // namespace penstock::router
