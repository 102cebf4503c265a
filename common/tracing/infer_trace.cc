#include "common/tracing/infer_trace.h"

#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "common/net/caller_rights.h"
#include "common/tracing/tracer.h"

namespace penstock {
namespace {

// As the semantic conventions of RPCs have it: package, service, method.
constexpr char kService[] = "inference.GRPCInferenceService";
constexpr char kInferSpan[] = "inference.GRPCInferenceService/ModelInfer";
constexpr char kStreamSpan[] = "inference.GRPCInferenceService/ModelStreamInfer";

void SetMethod(Span& span, bool streamed) {
  span.Set("rpc.system", "grpc");
  span.Set("rpc.service", kService);
  span.Set("rpc.method", streamed ? "ModelStreamInfer" : "ModelInfer");
}

void SetPeer(Span& span, absl::string_view address) {
  const size_t colon = address.rfind(':');
  int64_t port = 0;
  if (colon == absl::string_view::npos || !absl::SimpleAtoi(address.substr(colon + 1), &port)) {
    span.Set("server.address", address);
    return;
  }
  span.Set("server.address", address.substr(0, colon));
  span.Set("server.port", port);
}

}  // namespace

void ServedTrace::Begin(Tracer& tracer, const IncomingCall& call, absl::Time arrived) {
  const bool streamed = call.streamed();
  Tracer::Begun begun =
      tracer.Begin(FindMetadata(call.metadata(), kTraceparentMetadata),
                   streamed ? kStreamSpan : kInferSpan, SpanKind::kServer, arrived);
  span_ = std::move(begun.span);
  forward_ = begun.forward;
  if (span_.recording()) SetMethod(span_, streamed);
}

void ServedTrace::Replace(Metadata& metadata) const {
  RpcSpans::PutTraceparent(*forward_, metadata);
}

void ServedTrace::Finish(absl::StatusCode code, absl::Time end) {
  RpcSpans::End(span_, code, end, /*given_up=*/false);
}

Span RpcSpans::ClientOf(Tracer& tracer, Metadata& metadata, absl::string_view address,
                        absl::Time start) {
  const auto parent = TraceContext::Parse(FindMetadata(metadata, kTraceparentMetadata));
  if (!parent.has_value() || !parent->sampled()) return {};
  Span span = Client(tracer, *parent, address, start);
  PutTraceparent(span.context(), metadata);
  return span;
}

Span RpcSpans::Client(Tracer& tracer, const TraceContext& parent, absl::string_view address,
                      absl::Time start) {
  Span span = tracer.BeginChild(parent, kInferSpan, SpanKind::kClient, start);
  SetMethod(span, false);
  SetPeer(span, address);
  return span;
}

void RpcSpans::PutTraceparent(const TraceContext& context, Metadata& metadata) {
  for (auto& [key, value] : metadata) {
    if (key != kTraceparentMetadata) continue;
    value = context.ToString();
    return;
  }
  metadata.emplace_back(kTraceparentMetadata, context.ToString());
}

void RpcSpans::End(Span& span, absl::StatusCode code, absl::Time end, bool given_up) {
  span.Set("rpc.grpc.status_code", static_cast<int64_t>(code));
  if (code != absl::StatusCode::kOk && !given_up) span.SetFailed();
  span.End(end);
}

}  // namespace penstock
