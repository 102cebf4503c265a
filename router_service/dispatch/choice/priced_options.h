#pragma once

#include <vector>

#include "router_service/dispatch/choice/expert_choice.h"
#include "router_service/pacing/price_level.h"

namespace penstock::router {

// Worth and joules of what could have been chosen at some price; of many, those that a
// DecisionTable keeps: for one expert at most the upper concave hull, for more the best by worth
// and the cheapest.
std::vector<PricedOption> PricedOptions(const ExpertChoice& choice);

}  // namespace penstock::router
