#include "expert_service/oip/request_span.h"

#include "common/net/caller_rights.h"

namespace penstock::expert {
namespace {

void EndChild(const Span& parent, const char* name, absl::Time start, absl::Duration took) {
  if (took <= absl::ZeroDuration()) return;
  Span child = parent.Child(name, SpanKind::kInternal, start);
  child.End(start + took);
}

}  // namespace

void EndRequestTrace(ServedTrace& trace, const IncomingCall& call, absl::string_view model,
                     absl::Time submitted, const ExecutionOutcome& outcome, absl::StatusCode code,
                     absl::Time end) {
  if (!trace.recording()) return;
  Span& span = trace.span();
  span.Set(kSpanExpert, model);
  if (call.caller().trusted) {
    span.Set(kSpanRequest, FindMetadata(call.metadata(), kRequestIdMetadata));
    span.Set(kSpanPool, FindMetadata(call.metadata(), kTracedPoolMetadata));
    span.Set(kSpanDecision, FindMetadata(call.metadata(), kTracedDecisionMetadata));
  }
  span.Set(kSpanJoules, outcome.joules);
  EndChild(span, "queue", submitted, outcome.queued);
  EndChild(span, "compute", submitted + outcome.queued, outcome.computed);
  trace.End(code, end);
}

}  // namespace penstock::expert
