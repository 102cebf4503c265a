#pragma once

#include <optional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/net/infer_call.h"
#include "common/tracing/span.h"
#include "common/tracing/trace_context.h"

namespace penstock {

class Tracer;

// Attributes of ours; those of RPCs have the names of OpenTelemetry's semantic conventions.
inline constexpr char kSpanPool[] = "penstock.pool";
inline constexpr char kSpanExpert[] = "penstock.expert";
inline constexpr char kSpanExperts[] = "penstock.experts";  // of a platform's answer
inline constexpr char kSpanDecision[] = "penstock.decision_id";
inline constexpr char kSpanTenant[] = "penstock.tenant";
inline constexpr char kSpanRequest[] = "penstock.request_id";
inline constexpr char kSpanJoules[] = "penstock.joules";
inline constexpr char kSpanEnergyMethod[] = "penstock.energy_method";
inline constexpr char kSpanCache[] = "penstock.cache";
inline constexpr char kSpanReason[] = "penstock.attempt.reason";
inline constexpr char kSpanAttempt[] = "penstock.attempt.number";  // at one expert, from 1

// What an expert service's span says of the pool and the decision that it serves: sent to it with a
// request that is traced, and with no other.
inline constexpr char kTracedPoolMetadata[] = "penstock-pool";
inline constexpr char kTracedDecisionMetadata[] = "penstock-decision-id";

// The trace of a ModelInfer that this service answers: its SERVER span, and what goes on in
// `traceparent`. Without a tracer, and of requests that are not traced, every call does nothing and
// allocates nothing. One thread at a time.
class ServedTrace {
 public:
  ServedTrace() = default;
  // `tracer`: null where nothing is traced.
  ServedTrace(Tracer* tracer, const IncomingCall& call, absl::Time arrived) {
    if (tracer != nullptr) Begin(*tracer, call, arrived);
  }

  Span& span() { return span_; }
  bool recording() const { return span_.recording(); }

  // Puts what goes on in the place of the traceparent in `metadata`, where it is not what came.
  void Propagate(Metadata& metadata) const {
    if (forward_.has_value()) Replace(metadata);
  }
  void End(absl::StatusCode code, absl::Time end) {
    if (span_.recording()) Finish(code, end);
  }

 private:
  void Begin(Tracer& tracer, const IncomingCall& call, absl::Time arrived);
  void Replace(Metadata& metadata) const;
  void Finish(absl::StatusCode code, absl::Time end);

  Span span_;
  std::optional<TraceContext> forward_;
};

// Spans of calls that go out, and what all RPCs' spans have.
class RpcSpans {
 public:
  // A CLIENT span of a ModelInfer beneath `parent`, which is sampled. `address`: HOST:PORT, or what
  // stands for it.
  static Span Client(Tracer& tracer, const TraceContext& parent, absl::string_view address,
                     absl::Time start);
  static Span ClientOf(Tracer& tracer, Metadata& metadata, absl::string_view address,
                       absl::Time start);
  static void PutTraceparent(const TraceContext& context, Metadata& metadata);
  static void End(Span& span, absl::StatusCode code, absl::Time end, bool given_up);
};

// Of a ModelInfer that goes out with this metadata: a CLIENT span beneath the one that its
// traceparent names, which this service recorded, and whose place it takes there. None where that
// is not sampled, or `tracer` is null.
inline Span BeginClientSpan(Tracer* tracer, Metadata& metadata, absl::string_view address,
                            absl::Time start) {
  return tracer == nullptr ? Span() : RpcSpans::ClientOf(*tracer, metadata, address, start);
}
// Puts the span's context into `metadata`, where there is one.
inline void SetTraceparent(const Span& span, Metadata& metadata) {
  if (span.recording()) RpcSpans::PutTraceparent(span.context(), metadata);
}
// With the RPC's code; every other one than OK is a failure, but of a call that was `given_up`
// here.
inline void EndRpcSpan(Span& span, absl::StatusCode code, absl::Time end, bool given_up = false) {
  if (span.recording()) RpcSpans::End(span, code, end, given_up);
}

}  // namespace penstock
