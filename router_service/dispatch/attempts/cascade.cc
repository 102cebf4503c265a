#include "router_service/dispatch/attempts/cascade.h"

#include <algorithm>
#include <cmath>

namespace penstock::router {
namespace {

// Whether time and joules allow it; says in `decision` what does not.
bool Allowed(const EscalationOption& option, const EscalationLimits& limits, Escalation& decision) {
  if (!(option.latency_s <= limits.time_left_s)) {
    decision.stopped_by_deadline = true;
    return false;
  }
  if (!(option.energy_j <= limits.request_joules_left)) return false;
  if (!(option.energy_j <= limits.headroom_j) || !(option.largest_j <= limits.largest_j) ||
      !limits.others.Cover(option.amounts())) {
    decision.stopped_by_budget = true;
    return false;
  }
  return true;
}

}  // namespace

Escalation DecideEscalation(double p_stay, absl::Span<const EscalationOption> options,
                            const EscalationLimits& limits) {
  Escalation decision;
  if (limits.escalations_done >= limits.max_escalations) return decision;
  if (std::isnan(p_stay)) p_stay = 0;
  for (size_t i = 0; i < options.size(); ++i) {
    const EscalationOption& option = options[i];
    if (!option.admissible) continue;
    const double gain = limits.value * (option.p_right - p_stay) -
                        limits.price_per_joule * option.energy_j -
                        limits.others.PriceOf(option.amounts());
    if (std::isnan(gain)) continue;
    Escalation unused;  // what has no gain is stopped by nothing
    if (!Allowed(option, limits, gain > 0 ? decision : unused)) continue;
    decision.best_gain = std::max(decision.best_gain, gain);
    if (!(gain > 0)) continue;
    const bool better =
        !decision.option.has_value() || gain > decision.gain ||
        (gain == decision.gain && option.energy_j < options[*decision.option].energy_j);
    if (better) {
      decision.option = i;
      decision.gain = gain;
    }
  }
  return decision;
}

bool NearBoundary(const Escalation& decision, double value, double delta) {
  return delta > 0 && std::abs(decision.best_gain) <= delta * value;
}

double InterventionThreshold(double false_alarm_cost, double miss_cost, double p_need) {
  return false_alarm_cost / (false_alarm_cost + miss_cost * p_need);
}

Escalation DecideStage(absl::Span<const EscalationOption> later, const EscalationLimits& limits) {
  Escalation decision;
  if (later.empty() || limits.escalations_done >= limits.max_escalations) return decision;
  const size_t last = later.size() - 1;
  const bool may_follow = limits.escalations_done + 1 < limits.max_escalations;
  for (const size_t i : {may_follow ? size_t{0} : last, last}) {
    decision = Escalation();
    if (!later[i].admissible || !Allowed(later[i], limits, decision)) continue;
    decision.option = i;
    return decision;
  }
  return decision;
}

}  // namespace penstock::router
