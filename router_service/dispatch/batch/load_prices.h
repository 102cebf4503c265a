#pragma once

#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "penstock/v1/routing.pb.h"
#include "router_service/dispatch/route_request.h"
#include "router_service/pools/pool_load.h"

namespace penstock::router {

// What load takes off the worth of a pool's experts for one request.
struct LoadPrices {
  PoolLoad load;
  std::vector<double> price;  // by expert, in quality units
};

// At this moment. Null: the pool has no such price, or the request does not choose by worth.
std::shared_ptr<const LoadPrices> PriceLoad(const RouteRequest& request, absl::Time now);

// Takes the prices off the candidates' scores, a right answer being worth `value`.
void ApplyLoadPrices(const LoadPrices& prices, double value, CandidateColumns& candidates);

// So that the price finds its level: what each expert was worth to a decision, `candidates` being
// those whose scores the prices were taken off, `other_prices` what resources beside joules cost
// with each, in quality units; empty: nothing.
void RecordLoad(const RouteRequest& request, const LoadPrices& prices,
                const CandidateColumns& candidates, absl::Span<const double> other_prices,
                const SelectionLimits& limits);

}  // namespace penstock::router
