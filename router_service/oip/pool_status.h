#pragma once

#include "absl/status/status.h"
#include "penstock/v1/routing.pb.h"
#include "router_service/pools/pool.h"

namespace penstock::router {

void DescribePool(const Pool& pool, double price_per_joule, v1::PoolStatus& status);
// Adds all experts of the pool.
void DescribeExperts(const Pool& pool, v1::ListExpertsResponse& response);
// The pool's latest plan; version 0: none was made so far. FAILED_PRECONDITION where the pool does
// not plan.
absl::Status DescribePlan(const Pool& pool, v1::GetPlanResponse& response);

}  // namespace penstock::router
