#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/time/clock.h"
#include "router_service/dispatch/attempts/cascade.h"
#include "router_service/dispatch/choice/expert_choice.h"
#include "router_service/dispatch/dispatch_plan.h"

namespace penstock::router {

// A request of granularity REQUEST: one expert, several at once, or a cheap one first and a dearer
// one if the first is not sure enough, after a second opinion where that could turn the decision.
// Instead of an expert that failed, one other is asked, budgets permitting.
class ExpertPlan final : public DispatchPlan {
 public:
  // `record`: where later choices are noted for the log's file; null: it has none.
  ExpertPlan(const RouteRequest& request, ExpertChoice choice, Reservation& reservation,
             const Clock& clock, CounterRandom random, v1::ChoiceRecord* record = nullptr);

  std::vector<AskSpec> First() override;
  size_t Enough() const override;
  std::vector<AskSpec> Next(const std::vector<AskResult>& so_far) override;
  PlanAnswer Answer(DispatchResult& result) override;
  void RecordDecision(Reservation& reservation) override;

 private:
  // One decision of a cascade for the budgets' prices.
  struct Question {
    Amounts sunk;
    std::vector<PricedOption> options;
    size_t k = 1;
    bool follow_up = false;
  };
  // A second opinion that was asked for.
  struct Check {
    std::vector<float> fast;        // P(right) by expert, without it
    Question question;
    std::optional<size_t> answered;  // index of its ask, once it has come
  };

  AskSpec Spec(size_t expert, double weight, absl::string_view reason, double predicted_j);
  EscalationOption Option(size_t expert, double p_right, absl::Time now) const;
  std::vector<AskSpec> Escalate(const std::vector<AskResult>& so_far);
  std::vector<AskSpec> EscalateByStage(const std::vector<AskResult>& so_far,
                                       absl::Span<const size_t> after, Question question);
  std::vector<AskSpec> EscalateByPrice(const std::vector<AskResult>& so_far,
                                       const std::vector<float>& quality, Question question);
  std::vector<AskSpec> EscalateChecked(const std::vector<AskResult>& so_far);
  // Asks the verifier, where a second opinion is due and there is room for it.
  std::optional<AskSpec> AskVerifier(size_t standing, const Escalation& fast,
                                     const EscalationLimits& limits, absl::Time now);
  std::vector<AskSpec> Take(const Escalation& escalation,
                            const std::vector<EscalationOption>& options,
                            const EscalationLimits& limits);
  EscalationLimits Limits(const std::vector<AskResult>& so_far, absl::Time now);
  void NoteFollowUp(v1::FollowUp::Kind kind, double p_stay,
                    const std::vector<EscalationOption>& options, const EscalationLimits& limits,
                    const Escalation& decided);
  // What confidences are read from; unset: the answer has no such output.
  std::optional<Tensor> Confident(const AskResult& ask) const;
  size_t MaxEscalations() const;
  std::vector<AskSpec> AskAnother(const std::vector<AskResult>& so_far);
  // The tenant's own expert beside the global one, where joules, time and budgets leave room.
  std::optional<AskSpec> AskLocal(double joules_left);
  // Whose answer goes to the caller where a tenant's own expert was asked; one at least is OK.
  const AskResult* TakenBesideLocal(const std::vector<AskResult>& asks) const;
  double JoulesLeft(const std::vector<AskResult>& so_far) const;
  PlanAnswer Combined(std::vector<AskResult>& asks);
  bool Asked(size_t expert) const;
  // Nobody who serves it, or its contract is another one.
  bool IsMissing(size_t expert) const;

  const RouteRequest& request_;
  ExpertChoice choice_;
  Reservation& reservation_;
  const Clock& clock_;
  CounterRandom random_;
  v1::ChoiceRecord* const record_;
  uint64_t view_ = 0;  // of the budgets, that Limits saw last
  std::string combined_output_;  // what a confidence is read from
  std::vector<size_t> asked_;
  bool asked_another_ = false;
  std::optional<size_t> standing_;  // index of the ask whose answer stands
  size_t escalations_ = 0;
  ExitState exits_;
  std::optional<Check> check_;
  bool last_is_opinion_ = false;  // of the asks, the last is the verifier's
  std::vector<Question> questions_;
  std::vector<std::pair<size_t, double>> confidences_;
  std::string degraded_;
};

}  // namespace penstock::router
