#include "router_service/dispatch/attempts/replacement.h"

namespace penstock::router {

Escalation DecideReplacement(absl::Span<const EscalationOption> options,
                             const EscalationLimits& limits) {
  Escalation decision;
  for (size_t i = 0; i < options.size(); ++i) {
    const EscalationOption& option = options[i];
    if (!option.admissible || !(option.latency_s <= limits.time_left_s) ||
        !(option.energy_j <= limits.request_joules_left) ||
        !(option.largest_j <= limits.largest_j)) {
      continue;
    }
    const double worth = limits.value * option.p_right - limits.price_per_joule * option.energy_j;
    if (decision.option && !(worth > decision.gain)) continue;
    decision.option = i;
    decision.gain = worth;
  }
  return decision;
}

bool MayAskAnother(const absl::Status& status) {
  switch (status.code()) {
    // The request is wrong, whoever reads it. That an expert has no such model, or does not take this
    // router's credentials, is no matter of the caller's.
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kDeadlineExceeded:
      return false;
    default:
      return true;
  }
}

}  // namespace penstock::router
