#pragma once

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "penstock/v1/routing.pb.h"
#include "router_service/pacing/resource.h"
#include "router_service/selection/congestion_price.h"

namespace penstock::router {

// What became of one request.
struct RouteEvent {
  absl::string_view pool;  // empty: it names none of ours
  absl::StatusCode code = absl::StatusCode::kOk;
  absl::Duration latency;
  absl::Duration cpu;                      // of the routing itself
  const v1::Decision* decision = nullptr;  // null: refused before one was made
  std::optional<CongestionPrice::Figures> congestion;  // of pools whose load has a price
  Amounts taken;                // by all attempts
  uint64_t hedges_refused = 0;  // second attempts that there had been enough of
};

// Where counts go. Thread-safe.
class RouteObserver {
 public:
  virtual ~RouteObserver() = default;
  virtual void RequestFinished(const RouteEvent& event) = 0;
};

}  // namespace penstock::router
