#include <algorithm>
#include <array>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "router_service/learning/cascades/cascade_trainer.h"
#include "router_service/learning/cascades/exit_labels.h"
#include "router_service/learning/policies/policy_evaluation.h"
#include "router_service/quality/cascade/exit_gates.h"

namespace penstock::router {
namespace {

constexpr size_t kLeastRows = 50;
constexpr size_t kFeatures = ExitGates::kParameters - 1;

// What one unit of positive weighs against a negative, so that both count alike: from the share of
// the rows that should have left by the stage.
double PositiveWeight(size_t left, size_t rows) {
  const double share = (static_cast<double>(left) + 0.5) / (static_cast<double>(rows) + 1);
  return (1 - share) / share;
}

}  // namespace

absl::StatusOr<TrainedCascade> TrainExitGates(const CascadeTrainingSet& set) {
  const OutcomeTable& table = set.train;
  if (table.cost_unit.empty()) {
    return absl::InvalidArgumentError(
        "policy jei weighs loss against cost, but the table does not tell joules, flops or seconds "
        "throughout");
  }
  const std::vector<double> mean = MeanCosts(table);
  std::vector<double> cost;
  for (const size_t stage : set.stages) cost.push_back(mean[stage]);
  const std::vector<double> cumulative = CumulativeCost(cost);

  std::vector<size_t> fitted, chosen, fitted_exit, chosen_exit;
  for (const size_t row : RowsWithStages(table, set.stages, true)) {
    std::vector<float> loss;
    for (const size_t stage : set.stages) loss.push_back(1 - table.quality[table.At(stage, row)]);
    const bool chooses = set.fold[row] == 0;
    (chooses ? chosen : fitted).push_back(row);
    (chooses ? chosen_exit : fitted_exit).push_back(BestExit(loss, cumulative, set.tradeoff));
  }
  if (fitted.size() < kLeastRows || chosen.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("policy jei: ", fitted.size() + chosen.size(),
                                                   " rows tell every stage, wanted at least ",
                                                   kLeastRows, " to fit"));
  }
  std::vector<float> weight;
  for (size_t stage = 0; stage + 1 < set.stages.size(); ++stage) {
    std::vector<double> x;
    std::vector<int> labels;
    for (size_t i = 0; i < fitted.size(); ++i) {
      const std::array<double, kFeatures> f =
          UncertaintyFeatures(table.confidence[table.At(set.stages[stage], fitted[i])]);
      x.insert(x.end(), f.begin(), f.end());
      labels.push_back(fitted_exit[i] <= stage);
    }
    const size_t left = static_cast<size_t>(std::count_if(
        chosen_exit.begin(), chosen_exit.end(), [stage](size_t best) { return best <= stage; }));
    const std::vector<float> gate =
        FitWeightedLogistic(x, kFeatures, labels, PositiveWeight(left, chosen.size()));
    weight.insert(weight.end(), gate.begin(), gate.end());
  }
  TrainedCascade trained;
  trained.tensors = {
      {"exit_weight",
       {static_cast<int64_t>(set.stages.size()) - 1, static_cast<int64_t>(ExitGates::kParameters)},
       weight}};
  trained.metadata["tradeoff"] = absl::StrCat(set.tradeoff);
  return trained;
}

}  // namespace penstock::router
