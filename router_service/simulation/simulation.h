#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "penstock/config/v1/router.pb.h"
#include "router_service/pacing/budget_pacer.h"
#include "router_service/simulation/arrival_trace.h"
#include "router_service/simulation/outcome_matrix.h"

namespace penstock::router {

// Whose request an arrival is, and for which row of the matrix.
struct SimulatedCaller {
  uint32_t principal = 0;
  uint32_t row = 0;
};

struct SimulationOptions {
  std::vector<config::v1::Budget> budgets;  // of the pool
  BudgetPacer::Options pacer;
  // Joules that settle over joules recorded, from this second on: a device that starts to draw more.
  double joules_factor = 1;
  double joules_factor_from_s = 0;
  double value = 1;        // of one right answer
  bool metered = true;     // running work tells its joules, and its reservation follows
  uint64_t seed = 1;       // which row of the matrix an arrival is
  // By arrival, instead of rows drawn by `seed` that are one principal's. Empty: those.
  std::vector<SimulatedCaller> callers;
  // By expert: what no answer of it takes more than, as the configuration would say it
  // (`largest_joules_per_row`), 0 where it does not. Empty: of none.
  std::vector<double> largest_joules;
  // Requests of one expert at once, by expert; empty or 0: no limit. More wait in order.
  std::vector<uint32_t> slots;
};

// One simulated request.
struct SimulatedRequest {
  static constexpr int32_t kRefused = -1;

  double arrived_s = 0;
  double started_s = 0;
  double finished_s = 0;
  double price_per_joule = 0;  // at which it was decided, its principal's multiplier included
  float joules = 0;
  float predicted_joules = 0;
  uint32_t row = 0;
  int32_t expert = kRefused;
  bool degraded = false;  // by a budget
};

struct SimulationResult {
  std::vector<SimulatedRequest> requests;  // by arrival
  uint64_t events = 0;
  // Of every decision, price and completion, in order: equal runs have equal digests.
  uint64_t digest = 0;
};

// Arrivals, decisions and completions by a simulated clock: each arrival is a row of the matrix,
// drawn by (seed, number), and takes the router's own way: BudgetPacer::Open, Selector, reservation,
// RecordDecision, and settlement when the answer has come, a run time later. Events of one moment
// keep the order in which they were made. Deterministic. INVALID_ARGUMENT where a budget, the matrix,
// the callers or the slots mean nothing.
absl::StatusOr<SimulationResult> Simulate(const ArrivalTrace& trace, const OutcomeMatrix& outcomes,
                                          const SimulationOptions& options);

}  // namespace penstock::router
