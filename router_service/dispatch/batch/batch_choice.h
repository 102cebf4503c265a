#pragma once

#include <cstddef>
#include <vector>

#include "absl/time/time.h"
#include "router_service/dispatch/batch/batch_window.h"
#include "router_service/dispatch/choice/expert_choice.h"

namespace penstock::router {

// Whether a request that would be decided so may wait to be assigned together with others: one
// expert is to answer, the caller left the choice, nothing was given up, there are two to choose
// from, the pool is busy, and the time left covers the wait.
bool MayWait(const RouteRequest& request, const ExpertChoice& choice, const BatchWindow& window,
             absl::Time now);

// By expert, in quality units, less the prices of joules and load.
std::vector<double> WorthTogether(const ExpertChoice& choice);

// `expert` was assigned, `together` requests at once.
void AssignTogether(size_t expert, size_t together, ExpertChoice& choice);

}  // namespace penstock::router
