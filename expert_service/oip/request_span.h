#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/net/infer_call.h"
#include "common/tracing/infer_trace.h"
#include "expert_service/execution/executor.h"

namespace penstock::expert {

// Ends the span of a request, with its wait and its run beneath it. What a caller that is not
// trusted says of pool, decision and request is not told. `model` is empty where it is unknown;
// `submitted`: when the executor had it.
void EndRequestTrace(ServedTrace& trace, const IncomingCall& call, absl::string_view model,
                     absl::Time submitted, const ExecutionOutcome& outcome, absl::StatusCode code,
                     absl::Time end);

}  // namespace penstock::expert
