#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "penstock/config/v1/router.pb.h"

namespace penstock::router {

// Names a budget.
struct BudgetKey {
  std::string pool;    // empty: across pools
  std::string tenant;  // empty: everybody's
  config::v1::Budget::Resource resource = config::v1::Budget::JOULES;
  config::v1::Budget::Per per = config::v1::Budget::REQUEST;

  auto operator<=>(const BudgetKey&) const = default;
};

// What one router tells the others of a budget: totals that only grow, since it began to keep it.
struct BudgetDemand {
  uint64_t arrivals = 0;   // requests, refused ones included
  uint64_t decisions = 0;  // of requests
  double wanted = 0;       // what those would have taken had nothing a price
  double settled = 0;
  // The platform's credit as this router reckons with it is the first less the second.
  double allowed = 0;
  double taken = 0;
  absl::Time started = absl::UnixEpoch();  // later after another amount was set
};

// What a router makes of what the others told.
struct PlatformShare {
  double share = 1;               // its part of the budget, in (0, 1]
  double requests_elsewhere = 0;  // a second, each as large as its own are
  double spent_elsewhere = 0;     // settled by the others since the last time
  // To be added to the platform's credit, so that routers which reckon with different ones meet.
  double credit_correction = 0;
  absl::Time started = absl::InfiniteFuture();  // of the first of the routers that live
};

}  // namespace penstock::router
