#include "router_service/learning/cascades/cascade_training.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"
#include "router_service/learning/cascades/cascade_trainer.h"
#include "router_service/learning/policies/policy_evaluation.h"
#include "router_service/learning/risk/cascade_risk.h"
#include "router_service/quality/cascade_quality.h"

namespace penstock::router {
namespace {

absl::Status CheckPolicy(const TrainOptions& options) {
  const CascadeTrainer* const trainer = FindCascadeTrainer(options.cascade_policy);
  if (trainer == nullptr) {
    std::vector<absl::string_view> known;
    for (const CascadeTrainer& item : CascadeTrainers()) known.push_back(item.name);
    return absl::InvalidArgumentError(absl::StrCat("policy is ", options.cascade_policy,
                                                   ", wanted one of ", absl::StrJoin(known, ", ")));
  }
  if (options.cascade.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("policy is ", trainer->name,
                     ", but cascade is not set: wanted its stages in the order asked"));
  }
  if (trainer->needs_risk != options.risk.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("policy is ", trainer->name, ", which ",
                     trainer->needs_risk ? "wants a risk" : "states no risk"));
  }
  if (!(options.tradeoff >= 0) || !std::isfinite(options.tradeoff)) {
    return absl::InvalidArgumentError(
        absl::StrCat("tradeoff is ", options.tradeoff, ", wanted at least 0"));
  }
  if (options.output_folder.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("output_folder is not set, but policy ",
                                                   trainer->name, " is measured from its file"));
  }
  return absl::OkStatus();
}

absl::StatusOr<size_t> ExpertOf(const OutcomeTable& table, const std::string& name) {
  const auto at = std::find(table.experts.begin(), table.experts.end(), name);
  if (at != table.experts.end()) return static_cast<size_t>(at - table.experts.begin());
  return absl::InvalidArgumentError(absl::StrCat("verifier is \"", name, "\", which is none of ",
                                                 absl::StrJoin(table.experts, ", ")));
}

// Who answers first where second opinions are measured: the first stage, else the cheapest expert
// that the verifier can judge. The table's size: nobody.
size_t FirstOf(const TrainOptions& options, const OutcomeTable& train, const SlowFit& slow) {
  const std::vector<double> cost = MeanCosts(train);
  size_t first = train.experts.size();
  for (size_t e = 0; e < train.experts.size(); ++e) {
    if (!slow.knows[e]) continue;
    if (!options.cascade.empty() && options.cascade.front() == train.experts[e]) return e;
    if (first == train.experts.size() || cost[e] < cost[first]) first = e;
  }
  return first;
}

absl::Status AddRisk(const TrainOptions& options, const CascadeFit& pairs,
                     const OutcomeTable& heldout, TrainReport& report) {
  PENSTOCK_ASSIGN_OR_RETURN(report.cascade_risk,
                            CalibrateCascade(pairs, heldout, options.cascade, *options.risk));
  if (report.cascade_risk->always_escalates) {
    report.warnings.push_back(absl::StrCat(
        "a risk of ", *options.risk, " wants more than the ", report.cascade_risk->rows,
        " held-out rows there are: the cascade always goes on to \"", options.cascade.back(),
        "\""));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckCascade(const TrainOptions& options) {
  if (!options.verifier.empty() && (options.risk || !options.cascade_policy.empty())) {
    return absl::InvalidArgumentError(
        "verifier is set, but stages that a risk or a policy decides over ask for no second "
        "opinion");
  }
  if (!options.cascade_policy.empty()) return CheckPolicy(options);
  const bool first_of_opinion = !options.verifier.empty() && options.cascade.size() == 1;
  if (first_of_opinion || options.risk.has_value() != options.cascade.empty()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      options.risk ? "risk is set, but cascade is not: wanted its stages in the order asked"
                   : "cascade is set, but risk is not: wanted the quality that it may lose, or a policy; "
                     "with a verifier the first expert alone; no cascade for the price rule");
}

absl::StatusOr<CascadeParts> TrainCascades(const TrainOptions& options, const OutcomeTable& train,
                                           const OutcomeTable& heldout, absl::Span<const int> fold,
                                           int folds, TrainReport& report) {
  CascadeParts parts;
  parts.pairs = FitCascade(train, fold, folds);
  parts.errors = CalibrationErrors(parts.pairs, heldout);
  parts.fixed = FitFixedConfidence(train, options.price);
  report.cascades = EvaluateCascade(parts.pairs, heldout);
  if (!options.cascade_policy.empty()) {
    const CascadeTrainer& trainer = *FindCascadeTrainer(options.cascade_policy);
    PENSTOCK_ASSIGN_OR_RETURN(
        std::vector<size_t> stages,
        StageIndices(parts.pairs, train, options.cascade, trainer.reads_answers));
    PENSTOCK_ASSIGN_OR_RETURN(parts.policy,
                              trainer.train({train, fold, folds, parts.pairs, std::move(stages),
                                             options.risk.value_or(0), options.tradeoff}));
    parts.policy_name = options.cascade_policy;
    report.warnings.insert(report.warnings.end(), parts.policy->warnings.begin(),
                           parts.policy->warnings.end());
  } else if (options.risk) {
    PENSTOCK_RETURN_IF_ERROR(AddRisk(options, parts.pairs, heldout, report));
  }
  if (options.verifier.empty()) return parts;
  PENSTOCK_ASSIGN_OR_RETURN(const size_t verifier, ExpertOf(train, options.verifier));
  parts.slow = FitSlow(train, fold, folds, heldout, verifier, report.warnings);
  const size_t first = FirstOf(options, train, *parts.slow);
  if (first < train.experts.size() && !train.cost_unit.empty()) {
    report.slow_check =
        EvaluateSlow(parts.pairs, *parts.slow, train, heldout, first, options.price);
  }
  return parts;
}

absl::Status MeasurePolicy(const TrainOptions& options, const std::string& path,
                           const OutcomeTable& heldout, TrainReport& report) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::unique_ptr<const CascadeQuality> cascade,
                            CascadeQuality::Open(path, heldout.experts));
  std::vector<size_t> stages;
  for (const std::string& name : options.cascade) {
    PENSTOCK_ASSIGN_OR_RETURN(stages.emplace_back(), ExpertOf(heldout, name));
  }
  report.cascade_policy = EvaluateStages(*cascade, heldout, stages);
  report.cascade_policy->policy = options.cascade_policy;
  return absl::OkStatus();
}

}  // namespace penstock::router
