#pragma once

#include <cstddef>
#include <vector>

#include "absl/types/span.h"
#include "router_service/simulation/outcome_matrix.h"
#include "router_service/simulation/simulation.h"

namespace penstock::router {

// What a run was to keep: joules per request, or watts.
struct SpendTarget {
  double joules_per_request = 0;
  double watts = 0;  // where not 0, this counts
};

struct SpendReport {
  size_t requests = 0;
  size_t refused = 0;
  size_t degraded = 0;
  double quality = 0;            // mean over all requests as it came out; a refused one has 0
  double predicted_quality = 0;  // the same as it was predicted
  double joules = 0;             // in all
  double joules_mean = 0;        // per request that ran
  double seconds = 0;            // from the first arrival to the last
  double watts = 0;              // joules by these seconds
  // Signed: spent over what was to be spent, less 1.
  double spend_error = 0;
  // Of windows of 600 s (a last one of less than 300 s is left out). Joules belong to the window
  // of the arrival for a budget per request, of the completion for watts.
  double window_error_mean = 0;  // of magnitudes
  double window_error_worst = 0;
  // Largest distance of cumulative spending from the budget after 300 s: in requests' budgets, or in
  // seconds' worth of the watts. Over: above the budget only.
  double deviation_worst = 0;
  double overspent_worst = 0;
  std::vector<double> shares;        // by expert, of the requests that ran
  std::vector<double> watts_by_bin;  // joules of each request spread over its run
  double bin_seconds = 60;
};

SpendReport MakeSpendReport(const SimulationResult& result, const OutcomeMatrix& outcomes,
                            const SpendTarget& target);

// The matrix row of each request, for Hindsight.
std::vector<uint32_t> RowsOf(const SimulationResult& result);

}  // namespace penstock::router
