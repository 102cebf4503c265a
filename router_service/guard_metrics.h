#pragma once

#include <map>
#include <memory>
#include <string>

#include "common/mutex.h"
#include "penstock/config/v1/router.pb.h"
#include "router_service/dispatch/route_observer.h"
#include "router_service/metrics/pool_labels.h"

namespace prometheus {
class Registry;
}  // namespace prometheus

namespace penstock::router {

// What the guards of pools count, on its way to `next`. Thread-safe.
class GuardMetrics final : public RouteObserver {
 public:
  // Pools without guards, and those beyond what `labels` tells, are passed on. All but `config`
  // outlive this.
  GuardMetrics(prometheus::Registry& registry, PoolLabels& labels,
               const config::v1::Router& config, RouteObserver& next);
  ~GuardMetrics() override;

  // Another configuration: what a pool's guards have counted stays where the pool's experts and
  // guards do. Those that are gone leave no gauge behind. One caller at a time.
  void Update(const config::v1::Router& config);

  void RequestFinished(const RouteEvent& event) override;

 private:
  struct OfPool;
  using Pools = std::map<std::string, std::shared_ptr<OfPool>, std::less<>>;

  std::shared_ptr<const Pools> Current() const;

  prometheus::Registry& registry_;
  PoolLabels& labels_;
  RouteObserver& next_;
  mutable Mutex mutex_;
  std::shared_ptr<const Pools> pools_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock::router
