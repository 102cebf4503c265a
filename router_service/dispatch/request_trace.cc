#include "router_service/dispatch/request_trace.h"

#include <utility>
#include <vector>

#include "absl/strings/str_join.h"
#include "common/net/caller_rights.h"

namespace penstock::router {

AttemptTrace::AttemptTrace(const Span& server, const RouteRequest& request, std::string decision)
    : tracer_(server.tracer()),
      parent_(server.context()),
      pool_(request.pool->name()),
      tenant_(request.caller.tenant),
      request_id_(FindMetadata(request.forwarded, kRequestIdMetadata)),
      decision_(std::move(decision)) {}

Span AttemptTrace::Begin(absl::string_view expert, absl::string_view replica,
                         absl::string_view reason, size_t number, absl::Time start) const {
  Span span = RpcSpans::Client(*tracer_, parent_, replica, start);
  span.Set(kSpanPool, pool_);
  span.Set(kSpanExpert, expert);
  span.Set(kSpanReason, reason);
  span.Set(kSpanAttempt, static_cast<int64_t>(number));
  span.Set(kSpanDecision, decision_);
  span.Set(kSpanTenant, tenant_);
  span.Set(kSpanRequest, request_id_);
  return span;
}

void AttemptTrace::Propagate(const Span& attempt, Metadata& metadata) const {
  SetTraceparent(attempt, metadata);
  metadata.emplace_back(kTracedPoolMetadata, pool_);
  metadata.emplace_back(kTracedDecisionMetadata, decision_);
}

std::shared_ptr<const AttemptTrace> TraceAttempts(ServedTrace& trace, const RouteRequest& request,
                                                  const std::string& decision) {
  if (!trace.recording()) return nullptr;
  return std::make_shared<const AttemptTrace>(trace.span(), request, decision);
}

void EndAttemptSpan(Span& span, const v1::Run& run, const absl::Status& status,
                    const absl::Status* closed, absl::Time now) {
  if (!span.recording()) return;
  span.Set(kSpanJoules, run.energy_j());
  span.Set(kSpanEnergyMethod, run.energy_method());
  // Whom nobody waits for any more did not fail, but of the deadline.
  const bool out_of_time = closed != nullptr && absl::IsDeadlineExceeded(*closed);
  EndRpcSpan(span, out_of_time ? closed->code() : status.code(), now,
             /*given_up=*/closed != nullptr && !out_of_time);
}

void EndRequestTrace(ServedTrace& trace, const RouteRequest& request, const v1::Decision& decision,
                     absl::StatusCode code, absl::Time end) {
  if (!trace.recording()) return;
  Span& span = trace.span();
  span.Set(kSpanPool, decision.pool());
  span.Set(kSpanDecision, decision.id());
  span.Set(kSpanTenant, request.caller.tenant);
  span.Set(kSpanRequest, FindMetadata(request.forwarded, kRequestIdMetadata));
  std::vector<absl::string_view> experts;
  for (const v1::Run& run : decision.runs()) {
    if (run.status() == "OK") experts.push_back(run.expert());
  }
  span.Set(kSpanExperts, absl::StrJoin(experts, ","));
  span.Set(kSpanJoules, decision.energy_j());
  span.Set(kSpanEnergyMethod, decision.energy_method());
  span.Set("penstock.degraded", decision.degraded());
  trace.End(code, end);
}

}  // namespace penstock::router
