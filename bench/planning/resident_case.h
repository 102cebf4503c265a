#pragma once

#include "bench/planning/routing_data.h"
#include "nlohmann/json.hpp"
#include "router_service/planning/set_search.h"

namespace penstock::router {

// Who should be awake? Qualities are predicted out of fold by one linear head a model on hashed
// words; the plan is made on predictions of one half of the requests, and what is
// reported is the recorded score of the answers that they pick on the other. Watts are limited
// alike for the planned set and for all awake, each at its own best price.
nlohmann::ordered_json RunResidents(const RoutingData& data, bool instruction_only,
                                    double idle_watts, double requests_per_s,
                                    const SetSearchLimits& search);

}  // namespace penstock::router
