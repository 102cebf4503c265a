#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/random.h"
#include "penstock/v1/routing.pb.h"
#include "router_service/dispatch/route_request.h"
#include "router_service/pacing/budget_pacer.h"
#include "router_service/selection/selector.h"

namespace penstock::router {

// What the budgets of pool and tenant say at this moment.
struct BudgetView {
  double price_per_joule = 0;
  double headroom_j = SelectionLimits::kNone;
};

// What is known of each expert for one request, before limits and prices.
struct ScoredExperts {
  std::shared_ptr<const CandidateColumns> candidates;
  // By expert: how much longer than its mean answer this one is expected to be.
  std::vector<float> work;
  size_t max_experts = 1;
  bool finite = true;  // the features are
};

// Who runs a request of granularity REQUEST.
struct ExpertChoice {
  std::shared_ptr<const CandidateColumns> candidates;  // as scored
  std::vector<Exclusion> excluded;                     // by expert, the limits' too
  std::vector<float> work;                             // by expert, as scored
  SelectionLimits limits;
  SelectionResult selection;
  bool cascade = false;  // the chosen one answers first, others may be asked after it
};

// Load at the replica of `expert` that has the least to do; the healthy ones count.
ReplicaLoad LeastLoad(const PoolExpert& expert, absl::Time now);

// Features -> quality and cost estimates -> gate. `rows` are what an expert would get. `mean_answers`:
// every expert's answer counts as its mean one, whatever the prompt lets expect. For callers whom a higher
// price is to move: a prompt that makes a dear expert look cheap would be out of its reach.
absl::StatusOr<ScoredExperts> ScoreExperts(const RouteRequest& request, CounterRandom& random,
                                           absl::Time now, bool mean_answers = false);

// Limits and prices -> who runs. The verdict is in `selection`.
ExpertChoice ChooseExperts(const RouteRequest& request, const ScoredExperts& scored,
                           const BudgetView& budgets, absl::Time now);

// Worth of a right answer in the pool's quality units.
double ValueOf(const Pool& pool);

// What the request asked and what each expert looked like.
void DescribeRequest(const RouteRequest& request, double price_per_joule, v1::Decision& decision);
void DescribeChoice(const RouteRequest& request, const ExpertChoice& choice, v1::Decision& decision);

}  // namespace penstock::router
