#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "router_service/baseline_cascades/self_verification.h"
#include "router_service/learning/cascades/cascade_trainer.h"
#include "router_service/quality/cascade/bin_policy.h"

namespace penstock::router {
namespace {

// Of equal mass: most answers of a good expert are nearly sure, and equal widths would put them
// into one bin.
constexpr size_t kBins = 20;

// The rows of one part, and in which bin each is.
struct Part {
  std::vector<size_t> rows;
  std::vector<size_t> bins;
};

float PRight(const CascadeTrainingSet& set, size_t row) {
  const size_t first = set.stages.front();
  return set.fit.Predict(set.train.experts.size(), first, first,
                         set.train.confidence[set.train.At(first, row)]);
}

std::vector<float> Edges(const CascadeTrainingSet& set, absl::Span<const size_t> rows) {
  std::vector<float> p, edges;
  for (const size_t row : rows) p.push_back(PRight(set, row));
  std::sort(p.begin(), p.end());
  for (size_t bin = 1; bin < kBins; ++bin) edges.push_back(p[bin * p.size() / kBins]);
  return edges;
}

PairPoint Point(const CascadeTrainingSet& set, const Part& part, const VerifierPolicy& policy) {
  PairPoint point;
  for (size_t i = 0; i < part.rows.size(); ++i) {
    const size_t first = set.train.At(set.stages[0], part.rows[i]);
    const size_t last = set.train.At(set.stages[1], part.rows[i]);
    const bool goes_on = policy[part.bins[i]] != 0;
    point.quality += set.train.quality[goes_on ? last : first];
    point.cost += set.train.cost[first] + (goes_on ? set.train.cost[last] : 0);
  }
  point.quality /= static_cast<double>(part.rows.size());
  point.cost /= static_cast<double>(part.rows.size());
  return point;
}

}  // namespace

absl::StatusOr<TrainedCascade> TrainAutomix(const CascadeTrainingSet& set) {
  if (set.stages.size() != 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("policy automix: cascade has ", set.stages.size(), " stages, wanted 2"));
  }
  if (set.train.cost_unit.empty()) {
    return absl::InvalidArgumentError(
        "policy automix weighs benefit against cost, but the table does not tell joules, flops or "
        "seconds throughout");
  }
  Part fitted, chosen;
  for (const size_t row : RowsWithStages(set.train, set.stages, true)) {
    (set.fold[row] == 0 ? chosen : fitted).rows.push_back(row);
  }
  if (fitted.rows.size() < kBins || chosen.rows.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "policy automix: ", fitted.rows.size() + chosen.rows.size(),
        " rows tell both stages, wanted at least ", kBins, " to fit and one to choose"));
  }
  const std::vector<float> edges = Edges(set, fitted.rows);
  for (Part* part : {&fitted, &chosen}) {
    for (const size_t row : part->rows) {
      part->bins.push_back(BinPolicy::BinOf(PRight(set, row), edges));
    }
  }
  // The verdict that falls into the same bin.
  std::vector<float> verdict, small, big;
  for (size_t i = 0; i < fitted.rows.size(); ++i) {
    verdict.push_back(static_cast<float>(fitted.bins[i]) / static_cast<float>(kBins - 1));
    small.push_back(set.train.quality[set.train.At(set.stages[0], fitted.rows[i])]);
    big.push_back(set.train.quality[set.train.At(set.stages[1], fitted.rows[i])]);
  }
  const VerifierModel model = VerifierModel::Fit(verdict, small, big, kBins);

  TrainedCascade trained;
  VerifierPolicy best(kBins, 0);
  const PairPoint stay = Point(set, chosen, best);
  PairPoint alone = Point(set, chosen, VerifierPolicy(kBins, 1));
  alone.cost -= stay.cost;  // the big model alone
  double benefit = -std::numeric_limits<double>::infinity();
  if (alone.quality > stay.quality && alone.cost > stay.cost) {
    for (const VerifierPolicy& policy : CandidatePolicies(model)) {
      const PairPoint point = Point(set, chosen, policy);
      if (!(point.cost > stay.cost)) continue;
      const double of_policy = IncrementalBenefit(point, stay, alone);
      if (!(of_policy > benefit)) continue;
      benefit = of_policy;
      best = policy;
    }
  }
  if (!(benefit > 0)) {
    best.assign(kBins, 0);
    trained.warnings.push_back(
        absl::StrCat("policy automix: no table gains more per cost than mixing \"",
                     set.train.experts[set.stages[0]], "\" and \"",
                     set.train.experts[set.stages[1]], "\" at random: every first answer stands"));
  }
  trained.tensors = {
      {"edges", {static_cast<int64_t>(edges.size())}, edges},
      {"goes_on", {static_cast<int64_t>(kBins)}, std::vector<float>(best.begin(), best.end())}};
  trained.metadata["incremental_benefit_percent"] = absl::StrCat(benefit > 0 ? benefit : 0);
  return trained;
}

}  // namespace penstock::router
