#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/time/clock.h"
#include "router_service/dispatch/cascade.h"
#include "router_service/dispatch/dispatch_plan.h"
#include "router_service/dispatch/expert_choice.h"

namespace penstock::router {

// A request of granularity REQUEST: one expert, several at once, or a cheap one first and a dearer one if
// the first is not sure enough. Instead of an expert that failed, one other is asked, budgets permitting.
class ExpertPlan final : public DispatchPlan {
 public:
  ExpertPlan(const RouteRequest& request, ExpertChoice choice, Reservation& reservation,
             const Clock& clock, CounterRandom random);

  std::vector<AskSpec> First() override;
  std::vector<AskSpec> Next(const std::vector<AskResult>& so_far) override;
  PlanAnswer Answer(DispatchResult& result) override;
  void RecordDecision(Reservation& reservation) override;

 private:
  // One decision of a cascade for the budgets' prices.
  struct Question {
    double sunk_j = 0;
    std::vector<PricedOption> options;
    size_t k = 1;
    bool follow_up = false;
  };

  AskSpec Spec(size_t expert, double weight, absl::string_view reason, double predicted_j);
  EscalationOption Option(size_t expert, double p_right, absl::Time now) const;
  std::vector<AskSpec> Escalate(const std::vector<AskResult>& so_far);
  std::vector<AskSpec> AskAnother(const std::vector<AskResult>& so_far);
  double JoulesLeft(const std::vector<AskResult>& so_far) const;
  PlanAnswer Combined(std::vector<AskResult>& asks);
  bool Asked(size_t expert) const;

  const RouteRequest& request_;
  ExpertChoice choice_;
  Reservation& reservation_;
  const Clock& clock_;
  CounterRandom random_;
  std::string combined_output_;  // what a confidence is read from
  std::vector<size_t> asked_;
  bool asked_another_ = false;
  std::optional<size_t> standing_;  // index of the ask whose answer stands
  size_t escalations_ = 0;
  std::vector<Question> questions_;
  std::vector<std::pair<size_t, double>> confidences_;
  std::string degraded_;
};

}  // namespace penstock::router
