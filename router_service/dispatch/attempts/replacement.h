#pragma once

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "router_service/dispatch/attempts/cascade.h"

namespace penstock::router {

// Whom to ask instead of experts that failed: of the options that time, the request's own joules
// and the largest answer allow, the one with the largest value * p_right - price * joules, the
// first of equals. Here `p_right` is the score that the choice went by.
Escalation DecideReplacement(absl::Span<const EscalationOption> options,
                             const EscalationLimits& limits);

// Whether somebody else may do better than the expert that said this.
bool MayAskAnother(const absl::Status& status);

}  // namespace penstock::router
