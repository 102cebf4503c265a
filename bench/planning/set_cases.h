#pragma once

#include "bench/planning/routing_data.h"
#include "nlohmann/json.hpp"
#include "router_service/planning/set_search.h"

namespace penstock::router {

// Experts of equal joules, each responsible for requests of its own: responsibilities from
// Dirichlet(0.1), an energy limit for a quarter of the experts.
nlohmann::ordered_json RunHardInstance(uint64_t seed, const SetSearchLimits& search);

// The first 24 models of a set whose scores are complete, at three energy limits, k of 1 and 2, as
// qualities and as responsibilities; ensembles and pools.
nlohmann::ordered_json RunRealClass(const RoutingData& data, size_t experts, size_t rows,
                                    const SetSearchLimits& search);

}  // namespace penstock::router
