#pragma once

#include <optional>

#include "router_service/dispatch/choice/expert_choice.h"

namespace penstock::router {

// Predicted quality that a choice gave up, at least 0: of the experts that may run and fit the
// request's own limits (time left, energy cap, least quality) the best one's, whatever budgets
// cover and prices are, less the best of the chosen ones'. Unset where quality was not what was
// chosen by, or not the router's to choose: for another objective, of experts that the caller
// named, by a gate's mass, of a cascade whose first answer is not meant to be the best, and where
// nobody runs.
std::optional<double> QualityForgone(const RouteRequest& request, const ExpertChoice& choice);

}  // namespace penstock::router
