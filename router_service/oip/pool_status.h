#pragma once

#include "penstock/v1/routing.pb.h"
#include "router_service/pools/pool.h"

namespace penstock::router {

void DescribePool(const Pool& pool, double price_per_joule, v1::PoolStatus& status);
// Adds all experts of the pool.
void DescribeExperts(const Pool& pool, v1::ListExpertsResponse& response);

}  // namespace penstock::router
