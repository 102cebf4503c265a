#include "router_service/usage_observer.h"

#include "router_service/dispatch/energy_tally.h"

namespace penstock::router {

void UsageObserver::RequestFinished(const RouteEvent& event) {
  // Nobody was asked: nothing was used.
  if (event.decision != nullptr && event.decision->runs_size() > 0) {
    const bool metered =
        ParseEnergyMethod(event.decision->energy_method()) >= EnergyMethod::kSampled;
    counts_.Count(event.pool, event.decision->tenant(), event.taken, metered);
  }
  next_.RequestFinished(event);
}

}  // namespace penstock::router
