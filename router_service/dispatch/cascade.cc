#include "router_service/dispatch/cascade.h"

namespace penstock::router {

Escalation DecideEscalation(double p_stay, absl::Span<const EscalationOption> options,
                            const EscalationLimits& limits) {
  Escalation decision;
  if (limits.escalations_done >= limits.max_escalations) return decision;
  for (size_t i = 0; i < options.size(); ++i) {
    const EscalationOption& option = options[i];
    if (!option.admissible) continue;
    const double gain =
        limits.value * (option.p_right - p_stay) - limits.price_per_joule * option.energy_j;
    if (!(gain > 0)) continue;  // also where an estimate is no number
    if (!(option.latency_s <= limits.time_left_s)) {
      decision.stopped_by_deadline = true;
      continue;
    }
    if (!(option.energy_j <= limits.request_joules_left)) continue;
    if (!(option.energy_j <= limits.headroom_j)) {
      decision.stopped_by_budget = true;
      continue;
    }
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

}  // namespace penstock::router
