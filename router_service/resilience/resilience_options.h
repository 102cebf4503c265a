#pragma once

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/retry_budget.h"
#include "penstock/config/v1/router.pb.h"
#include "router_service/resilience/circuit_breaker.h"
#include "router_service/resilience/outlier_ejection.h"

namespace penstock::router {

// What a pool does about replicas that fail.
struct ResilienceOptions {
  BreakerOptions breaker;
  absl::Duration probe_timeout = absl::Seconds(1);
  EjectionOptions ejection;
  RetryBudgetOptions retries;
};

// INVALID_ARGUMENT names the pool, the field, what was wanted and what came.
absl::StatusOr<ResilienceOptions> ReadResilience(const config::v1::Pool& pool);

}  // namespace penstock::router
