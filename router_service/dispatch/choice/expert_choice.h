#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/random.h"
#include "penstock/v1/routing.pb.h"
#include "router_service/dispatch/batch/load_prices.h"
#include "router_service/dispatch/local_answer.h"
#include "router_service/dispatch/route_request.h"
#include "router_service/pacing/budget_pacer.h"
#include "router_service/selection/other_prices.h"
#include "router_service/selection/selector.h"

namespace penstock::router {

// What the budgets of pool and tenant say at this moment.
struct BudgetView {
  double price_per_joule = 0;
  double headroom_j = SelectionLimits::kNone;
  double price_multiplier = 1;  // as BudgetTerms has it
  uint64_t view = 0;            // sequence of the journal's event that told so
  OtherTerms others;            // of resources beside joules
  double largest_j = SelectionLimits::kNone;
};

// What is known of each expert for one request, before limits and prices.
struct ScoredExperts {
  std::shared_ptr<const CandidateColumns> candidates;
  // By expert: how much longer than its mean answer this one is expected to be.
  std::vector<float> work;
  size_t max_experts = 1;
  bool finite = true;  // the features are
  // The cascade's last stage, where the features say that its first one does not suffice.
  std::optional<size_t> bypass_to;
  std::shared_ptr<const LoadPrices> load;  // taken off the scores; null: none were
  // By expert, of pools that explore: what the quality model alone predicts, and by how much an
  // expert may be better than it looks.
  std::vector<float> predicted, bonus;
  std::optional<LocalAsk> local;
  // By expert: what it is expected to take; null: no budget beside joules binds.
  std::shared_ptr<const std::vector<Amounts>> amounts;
  // Of pools that certify, where the features are finite: z and the gate's logits.
  std::vector<float> z, logits;
};

// Who runs a request of granularity REQUEST.
struct ExpertChoice {
  // As scored, less what prices beside those of joules take off the scores.
  std::shared_ptr<const CandidateColumns> candidates;
  std::shared_ptr<const CandidateColumns> before_prices;  // as scored; null: nothing was taken off
  std::shared_ptr<const std::vector<Amounts>> amounts;    // as scored; null: no such price
  OtherTerms others;                                      // beside limits
  // By expert: what its answer may take at most; null: nothing limits that.
  std::shared_ptr<const std::vector<double>> largest;
  std::vector<Exclusion> excluded;                     // by expert, the limits' too
  std::vector<float> work;                             // by expert, as scored
  std::shared_ptr<const LoadPrices> load;              // as scored
  std::optional<double> propensity;  // of exploration: P(this choice)
  bool explored = false;             // it is not the best by what is known
  double premium_j = 0;              // joules that exploration paid for it
  size_t assigned_together = 0;      // requests, this one included; 0: it was decided alone
  SelectionLimits limits;
  SelectionResult selection;
  // How far z may move before the gate would choose others than those chosen.
  std::optional<double> certified_radius;
  std::optional<LocalAsk> local;  // to be asked beside the chosen one
  std::optional<uint32_t> first;  // of a pool with a cascade: who is to answer first
  bool cascade = false;  // the chosen one answers first, others may be asked after it
  bool bypassed = false;  // the cascade's last stage answers instead of the first
  std::string degraded;   // what kept it from that, as `penstock_degraded`

  const CandidateColumns& scored() const {
    return before_prices == nullptr ? *candidates : *before_prices;
  }
};

// Load at the replica of `expert` that has the least to do; the available ones count.
ReplicaLoad LeastLoad(const PoolExpert& expert, absl::Time now);

// Features -> quality and cost estimates -> gate. `rows` are what an expert would get.
// `mean_answers`: every expert's answer counts as its mean one, whatever the prompt lets expect.
// For callers whom a higher price is to move: a prompt that makes a dear expert look cheap would be
// out of its reach.
absl::StatusOr<ScoredExperts> ScoreExperts(const RouteRequest& request, CounterRandom& random,
                                           absl::Time now, bool mean_answers = false);

// Adds what each expert is expected to take, for budgets of other resources than joules.
void ExpectAmounts(const RouteRequest& request, ScoredExperts& scored);

// What the choice is expected to take, all resources that budgets bind.
Amounts ChosenAmounts(const ExpertChoice& choice);
// What its answers may take at most, in joules; those of which it is not known left out.
double ChosenLargest(const RouteRequest& request, const ExpertChoice& choice);

// z of the request that this thread scored last.
const FeatureBuffer& ScoredFeatures();

// Adds the request to what the pool plans from: what the experts are worth without the price of
// their load, which a plan outlasts.
void RecordForPlanning(const RouteRequest& request, const ScoredExperts& scored,
                       PoolPlanner& planner);

// Limits and prices -> who runs. The verdict is in `selection`.
ExpertChoice ChooseExperts(const RouteRequest& request, const ScoredExperts& scored,
                           const BudgetView& budgets, absl::Time now);

// `expert` alone runs instead; it is one of those that fit the limits.
void ChooseInstead(size_t expert, ExpertChoice& choice);

// OK where somebody is chosen, else what the caller is told; of a pool without anybody to ask, what
// keeps each expert from it.
absl::Status ChoiceStatus(const RouteRequest& request, const ExpertChoice& choice);

// Somebody runs.
bool IsChosen(const SelectionResult& result);
// There is somebody to ask, whom the request's own limits do not allow.
bool IsInfeasible(const SelectionResult& result);
// Somebody runs whom only the time left does not allow.
bool IsOnlyLate(const ExpertChoice& choice);

// Whether the gate's mass is what is maximised, and not predicted quality. A random gate is there to
// choose at random: by quality it would never be asked.
bool IsByMass(const config::v1::Pool& pool);

// Worth of a right answer in the pool's quality units.
double ValueOf(const Pool& pool);

// What the request asked and what each expert looked like.
void DescribeRequest(const RouteRequest& request, const BudgetView& budgets,
                     v1::Decision& decision);
void DescribeChoice(const RouteRequest& request, const ExpertChoice& choice,
                    v1::Decision& decision);

}  // namespace penstock::router
