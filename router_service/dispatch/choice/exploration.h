#pragma once

#include <cstdint>

#include "penstock/v1/routing.pb.h"
#include "router_service/dispatch/choice/expert_choice.h"
#include "router_service/pools/pool_catalogue.h"

namespace penstock::router {

// Of a pool that explores: whether another expert than the chosen one is asked, to learn of it, and
// with which probability this one was to be. Only where one expert answers, the caller named none,
// and nothing was given up. Draws from (seed, sequence).
void Explore(const RouteRequest& request, const ScoredExperts& scored, uint64_t seed,
             uint64_t sequence, ExpertChoice& choice);

// The choice does not run: the joules that exploration paid for it are the tenant's again.
void RefundExploration(const RouteRequest& request, ExpertChoice& choice);

// The first report of a decision: the pool learns of the expert whose answer the caller got, where
// its live files are still those that decided.
void LearnFromReport(const PoolCatalogue& catalogue, const v1::Decision& decision);

}  // namespace penstock::router
