#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/random.h"
#include "penstock/v1/routing.pb.h"
#include "router_service/dispatch/choice/expert_choice.h"
#include "router_service/dispatch/route_request.h"
#include "router_service/selection/row_trimmer.h"

namespace penstock::router {

// The rows that one expert gets of a ROW pool's request.
struct RowGroup {
  size_t expert = 0;
  std::vector<int32_t> rows;   // ascending
  std::vector<float> weights;  // of these rows
  std::vector<int32_t> slots;  // place of the expert in the row's choice, 0 = the best
  double latency_s = 0;
  double energy_j = 0;
};

// Experts of each row as the gate has them, before budgets.
struct ScoredRows {
  std::vector<SelectionCandidate> candidates;  // weight: the expert's share of all rows
  int64_t k = 1;
  std::vector<int32_t> ids;    // [rows, k], best first, -1 unused
  std::vector<float> weights;  // [rows, k]
};

struct RowChoice {
  std::vector<RowGroup> groups;  // by expert, none empty
  RowTrimResult trim;
  std::string degraded;
  double latency_s = 0;
  double energy_j = 0;
};

// Features -> gate for each row. UNAVAILABLE where no expert is left.
absl::StatusOr<ScoredRows> ScoreRows(const RouteRequest& request, CounterRandom& random,
                                     absl::Time now);

// Drops (row, expert) pairs that budgets do not cover and groups the rest by expert.
// FAILED_PRECONDITION, DEADLINE_EXCEEDED where even each row's best alone cannot meet the request's
// own limits.
absl::StatusOr<RowChoice> ChooseRows(const RouteRequest& request, const ScoredRows& scored,
                                     const BudgetView& budgets, absl::Time now);

// What the groups are expected to take; of resources beside joules, where `others` says so.
Amounts RowAmounts(const RouteRequest& request, const RowChoice& choice, bool others);

void DescribeRows(const RouteRequest& request, const ScoredRows& scored, const RowChoice* choice,
                  v1::Decision& decision);

}  // namespace penstock::router
