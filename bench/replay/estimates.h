#pragma once

#include <string>

#include "absl/status/status.h"
#include "bench/routing/routing_set.h"
#include "router_service/simulation/outcome_matrix.h"

namespace penstock::router {

// Fills in what a router knows beforehand by one ridge regression with two outputs an expert,
// quality and log(output tokens + 8), on hashed word 1-2-grams; joules = tokens' joules *
// exp(prediction) * a factor that makes the mean right. Rows of folds (no row of the set is a test
// row): predicted by a model of the other folds. Else test rows by a model of all other rows.
void EstimateByRidge(const RoutingSet& set, OutcomeMatrix& outcomes);

// As ReadEstimates reads them.
absl::Status WriteEstimates(const OutcomeMatrix& outcomes, const std::string& file);

}  // namespace penstock::router
