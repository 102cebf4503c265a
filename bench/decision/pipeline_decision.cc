#include <utility>

#include "bench/decision/decision_contender.h"
#include "common/status_macros.h"
#include "router_service/dispatch/choice/priced_options.h"

namespace penstock::router {
namespace {

class PipelineDecision final : public DecisionContender {
 public:
  PipelineDecision(DecisionCase& of, bool with_features)
      : case_(of), with_features_(with_features) {}

  std::string name() const override { return "penstock"; }

  absl::StatusOr<const ExpertChoice*> Decide(size_t i) override {
    const RouteRequest& request = case_.request(i);
    CounterRandom random(1, i);
    PENSTOCK_ASSIGN_OR_RETURN(reservation_,
                              case_.pacer().Open(request.pool->name(), request.caller.tenant));
    const BudgetView budgets{reservation_.price_per_joule(), reservation_.headroom_j()};
    const absl::Time now = case_.clock().Now();
    if (with_features_) {
      PENSTOCK_ASSIGN_OR_RETURN(const ScoredExperts scored, ScoreExperts(request, random, now));
      choice_ = ChooseExperts(request, scored, budgets, now);
    } else {
      choice_ = ChooseExperts(request, case_.scored(i), budgets, now);
    }
    PENSTOCK_RETURN_IF_ERROR(
        SelectionStatus(choice_.selection, choice_.limits, request.pool->expert_names));
    if (!reservation_.TryHold(choice_.selection.energy_j)) {
      reservation_.Hold(choice_.selection.energy_j);
    }
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

std::unique_ptr<DecisionContender> MakePipelineDecision(DecisionCase& of, bool with_features) {
  return std::make_unique<PipelineDecision>(of, with_features);
}

}  // namespace penstock::router
