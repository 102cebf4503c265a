#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "bench/decision/decision_contender.h"
#include "common/status_macros.h"
#include "router_service/dispatch/choice/priced_options.h"

namespace penstock::router {
namespace {

absl::Status Score(const DecisionCase& of, const RouteRequest& request, ExpertChoice& choice) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<float> z, ToFloats(request.inputs[0]));
  auto candidates = std::make_shared<CandidateColumns>(*choice.candidates);
  for (size_t expert = 0; expert < candidates->size(); ++expert) {
    const float* weight = of.quality_weight().data() + expert * z.size();
    double logit = of.quality_bias()[expert];
    for (size_t j = 0; j < z.size(); ++j) logit += static_cast<double>(weight[j]) * z[j];
    SelectionCandidate candidate = (*candidates)[expert];
    candidate.score = candidate.quality = 1 / (1 + std::exp(-logit));
    candidates->Set(expert, candidate);
  }
  choice.candidates = std::move(candidates);
  return absl::OkStatus();
}

// The best set of at most two by looking at each.
void Search(ExpertChoice& choice) {
  const SelectionLimits& limits = choice.limits;
  const size_t experts = choice.candidates->size();
  const absl::Span<const double> score = choice.candidates->score();
  const absl::Span<const double> latency_s = choice.candidates->latency_s();
  const absl::Span<const double> energy_j = choice.candidates->energy_j();
  SelectionResult& best = choice.selection;
  best.Clear();
  best.objective = -std::numeric_limits<double>::infinity();
  const double joules = std::min(limits.energy_cap_j, limits.headroom_j);
  const auto consider = [&](size_t a, size_t b) {
    double objective = 0, energy = 0;
    for (const size_t expert : {a, b}) {
      if (expert == experts) continue;
      if (latency_s[expert] > limits.time_left_s) return;
      energy += energy_j[expert];
      objective += limits.value * score[expert] - limits.price_per_joule * energy_j[expert];
    }
    if (energy > joules || objective <= best.objective) return;
    best.verdict = SelectionVerdict::kChosen;
    best.objective = objective;
    best.energy_j = energy;
    best.chosen = {{a, 1}};
    if (b != experts) best.chosen.push_back({b, 1});
  };
  for (size_t a = 0; a < experts; ++a) {
    consider(a, experts);
    for (size_t b = a + 1; limits.max_experts > 1 && b < experts; ++b) consider(a, b);
  }
  if (!best.chosen.empty()) return;
  // Budgets are spent: the cheapest that is in time and within the request's cap runs all the same.
  for (size_t expert = 0; expert < experts; ++expert) {
    if (latency_s[expert] > limits.time_left_s || energy_j[expert] > limits.energy_cap_j) continue;
    if (!best.chosen.empty() && energy_j[expert] >= best.energy_j) continue;
    best.verdict = SelectionVerdict::kDegraded;
    best.chosen = {{expert, 1}};
    best.energy_j = energy_j[expert];
    best.objective = limits.value * score[expert] - limits.price_per_joule * energy_j[expert];
  }
}

class ExhaustiveDecision final : public DecisionContender {
 public:
  ExhaustiveDecision(DecisionCase& of, bool with_features)
      : case_(of), with_features_(with_features) {}

  std::string name() const override { return "exhaustive"; }

  absl::StatusOr<const ExpertChoice*> Decide(size_t i) override {
    const RouteRequest& request = case_.request(i);
    PENSTOCK_ASSIGN_OR_RETURN(reservation_,
                              case_.pacer().Open(request.pool->name(), request.caller.tenant));
    SelectionLimits limits;
    limits.max_experts = case_.k();
    limits.price_per_joule = reservation_.price_per_joule();
    limits.headroom_j = reservation_.headroom_j();
    limits.latency_budget_s = request.latency_budget_s;
    limits.time_left_s = request.TimeLeft(case_.clock().Now());
    limits.energy_cap_j = request.energy_cap_j;
    PENSTOCK_ASSIGN_OR_RETURN(choice_, ChooseExhaustively(case_, i, with_features_, limits));
    reservation_.Hold(choice_.selection.energy_j);
    return &choice_;
  }

  void End() override {
    reservation_.RecordDecision(0, PricedOptions(choice_), choice_.limits.max_experts);
    reservation_.Settle({choice_.selection.energy_j, 0, 0});
  }

 private:
  DecisionCase& case_;
  const bool with_features_;
  Reservation reservation_;
  ExpertChoice choice_;
};

}  // namespace

absl::StatusOr<ExpertChoice> ChooseExhaustively(const DecisionCase& of, size_t i,
                                                bool with_features,
                                                const SelectionLimits& limits) {
  ExpertChoice choice;
  choice.candidates = of.scored(i).candidates;
  choice.excluded.assign(choice.candidates->size(), Exclusion::kNone);
  choice.limits = limits;
  if (with_features) PENSTOCK_RETURN_IF_ERROR(Score(of, of.request(i), choice));
  Search(choice);
  if (choice.selection.chosen.empty()) return absl::FailedPreconditionError("nothing fits");
  return choice;
}

std::unique_ptr<DecisionContender> MakeExhaustiveDecision(DecisionCase& of, bool with_features) {
  return std::make_unique<ExhaustiveDecision>(of, with_features);
}

}  // namespace penstock::router
