#pragma once

#include "absl/types/span.h"
#include "router_service/dispatch/cascade.h"

namespace penstock::router {

// Whom to ask instead of experts that failed: of the options that time and the request's own joules
// allow, the one with the largest value * p_right - price * joules, the first of equals. Here
// `p_right` is the score that the choice went by.
Escalation DecideReplacement(absl::Span<const EscalationOption> options,
                             const EscalationLimits& limits);

}  // namespace penstock::router
