#pragma once

#include <map>
#include <memory>
#include <string>

#include "common/mutex.h"
#include "penstock/config/v1/router.pb.h"
#include "router_service/dispatch/route_observer.h"

namespace prometheus {
class Registry;
}  // namespace prometheus

namespace penstock::router {

// What the guards of pools count, on its way to `next`. Thread-safe.
class GuardMetrics final : public RouteObserver {
 public:
  // Pools without guards are passed on. `next` outlives this.
  GuardMetrics(prometheus::Registry& registry, const config::v1::Router& config,
               RouteObserver& next);
  ~GuardMetrics() override;

  void RequestFinished(const RouteEvent& event) override;

 private:
  struct OfPool;

  RouteObserver& next_;
  std::map<std::string, std::unique_ptr<OfPool>, std::less<>> pools_;  // fixed once made
};

}  // namespace penstock::router
