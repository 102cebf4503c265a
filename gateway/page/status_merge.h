#pragma once

#include <vector>

#include "penstock/v1/routing.pb.h"

namespace penstock::gateway {

// What several routers say of the same pools, as one: counts and joules add up; what cannot be
// added (quantiles, prices) is the worst that any of them says. In the order in which names come
// first.
v1::ListPoolsResponse MergePools(const std::vector<v1::ListPoolsResponse>& parts);
// An expert's share is of the sums; a replica is as well as the router that sees it worst says.
v1::ListExpertsResponse MergeExperts(const std::vector<v1::ListExpertsResponse>& parts);

}  // namespace penstock::gateway
