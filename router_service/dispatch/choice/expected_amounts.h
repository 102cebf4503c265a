#pragma once

#include <cstddef>
#include <cstdint>

#include "router_service/dispatch/expert_ask.h"
#include "router_service/dispatch/route_request.h"
#include "router_service/pacing/resource.h"

namespace penstock::router {

// What `expert` is expected to take for `rows` of the request: `energy_j` as estimated, accelerator
// seconds as the cost model expects an unloaded replica's run, dollars as configuration states
// them.
// `work`: how much longer than its mean answer this one is expected to be.
Amounts ExpectedAmounts(const RouteRequest& request, size_t expert, uint64_t rows, double work,
                        double energy_j);

// What an answer of `expert` to `rows` of the request takes at most, in joules; 0: the
// configuration does not say.
double LargestJoules(const RouteRequest& request, size_t expert, uint64_t rows);

// What an ask took: its metered joules, seconds as replicas report them, else as expected, and the
// dollars of that. An attempt that failed counts with the seconds that it reports alone.
Amounts TakenAmounts(const RouteRequest& request, const AskResult& ask);

}  // namespace penstock::router
