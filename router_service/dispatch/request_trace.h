#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/tracing/infer_trace.h"
#include "penstock/v1/routing.pb.h"
#include "router_service/dispatch/route_request.h"

namespace penstock::router {

// What the spans of one request's attempts have in common. Immutable.
class AttemptTrace {
 public:
  AttemptTrace(const Span& server, const RouteRequest& request, std::string decision);

  // `number`: at this expert, from 1.
  Span Begin(absl::string_view expert, absl::string_view replica, absl::string_view reason,
             size_t number, absl::Time start) const;
  // The attempt's span as the expert's parent, and what the expert's span names.
  void Propagate(const Span& attempt, Metadata& metadata) const;

 private:
  const std::shared_ptr<Tracer> tracer_;
  const TraceContext parent_;
  const std::string pool_;
  const std::string tenant_;
  const std::string request_id_;
  const std::string decision_;
};

// Null where the request is not traced.
std::shared_ptr<const AttemptTrace> TraceAttempts(ServedTrace& trace, const RouteRequest& request,
                                                  const std::string& decision);

// `run`: with its joules. `closed`: why the ask ended while the attempt ran; null: it ended by
// itself, with `status`.
void EndAttemptSpan(Span& span, const v1::Run& run, const absl::Status& status,
                    const absl::Status* closed, absl::Time now);

// Ends the request's own span.
void EndRequestTrace(ServedTrace& trace, const RouteRequest& request, const v1::Decision& decision,
                     absl::StatusCode code, absl::Time end);

}  // namespace penstock::router
