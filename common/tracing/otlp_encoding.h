#pragma once

#include <string>

#include "common/tracing/span_batcher.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.pb.h"

namespace penstock {

// Who sends.
struct TracedService {
  std::string name;      // service.name: "penstock-gateway"
  std::string version;   // service.version
  std::string instance;  // service.instance.id, of this process
};

opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest EncodeSpans(
    const TracedService& service, const SpanBatch& batch);

}  // namespace penstock
