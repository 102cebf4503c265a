#include "router_service/planning/replan_trigger.h"

#include <cmath>
#include <utility>

namespace penstock::router {

absl::string_view ReplanReasonName(ReplanReason reason) {
  switch (reason) {
    case ReplanReason::kNone:
      return "";
    case ReplanReason::kFirst:
      return "first plan";
    case ReplanReason::kExperts:
      return "experts changed";
    case ReplanReason::kBudget:
      return "budget changed";
    case ReplanReason::kGate:
      return "gate changed";
    case ReplanReason::kDrift:
      return "costs drifted";
    case ReplanReason::kPeriod:
      return "period over";
  }
  return "";
}

bool ReplanTrigger::Drifted(double planned, double present) const {
  // A cost that was nothing and is something has drifted, whatever the share.
  return std::abs(present - planned) > options_.drift * std::abs(planned);
}

ReplanReason ReplanTrigger::Due(const PlanBasis& present) const {
  if (!planned_.has_value()) return ReplanReason::kFirst;
  if (present.experts.size() != planned_->experts.size()) return ReplanReason::kExperts;
  bool drifted = false;
  auto planned = planned_->experts.begin();
  for (const auto& [name, expert] : present.experts) {
    if (planned->first != name) return ReplanReason::kExperts;
    drifted = drifted || Drifted(planned->second.energy_j, expert.energy_j) ||
              Drifted(planned->second.latency_s, expert.latency_s);
    ++planned;
  }
  if (present.budgets != planned_->budgets) return ReplanReason::kBudget;
  if (present.gate_version != planned_->gate_version) return ReplanReason::kGate;
  if (drifted) return ReplanReason::kDrift;
  if (clock_.Now() - planned_at_ >= options_.period) return ReplanReason::kPeriod;
  return ReplanReason::kNone;
}

void ReplanTrigger::Planned(PlanBasis basis) {
  planned_ = std::move(basis);
  planned_at_ = clock_.Now();
}

}  // namespace penstock::router
