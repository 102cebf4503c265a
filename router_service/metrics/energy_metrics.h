#pragma once

#include <cstddef>
#include <memory>

#include "router_service/dispatch/route_observer.h"

namespace prometheus {
class Registry;
}  // namespace prometheus

namespace penstock::router {

// Joules by who took them. Tenants are believed of trusted callers alone, as decisions have it.
// Thread-safe.
class EnergyMetrics {
 public:
  // Tenants beyond count as "other".
  static constexpr size_t kMostTenants = 1000;

  explicit EnergyMetrics(prometheus::Registry& registry);
  ~EnergyMetrics();

  void RequestFinished(const RouteEvent& event);

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace penstock::router
