#include "common/tracing/otlp_encoding.h"

#include <variant>

namespace penstock {
namespace {

namespace otlp = opentelemetry::proto;

constexpr char kScope[] = "penstock";

void SetValue(const SpanAttribute::Value& from, otlp::common::v1::AnyValue& to) {
  if (const auto* text = std::get_if<std::string>(&from)) {
    to.set_string_value(*text);
  } else if (const auto* flag = std::get_if<bool>(&from)) {
    to.set_bool_value(*flag);
  } else if (const auto* number = std::get_if<int64_t>(&from)) {
    to.set_int_value(*number);
  } else {
    to.set_double_value(std::get<double>(from));
  }
}

otlp::trace::v1::Span::SpanKind KindOf(SpanKind kind) {
  switch (kind) {
    case SpanKind::kInternal:
      return otlp::trace::v1::Span::SPAN_KIND_INTERNAL;
    case SpanKind::kServer:
      return otlp::trace::v1::Span::SPAN_KIND_SERVER;
    case SpanKind::kClient:
      return otlp::trace::v1::Span::SPAN_KIND_CLIENT;
  }
  return otlp::trace::v1::Span::SPAN_KIND_UNSPECIFIED;
}

uint64_t Nanos(absl::Time time) {
  const int64_t nanos = absl::ToUnixNanos(time);
  return nanos < 0 ? 0 : static_cast<uint64_t>(nanos);
}

void Encode(const SpanRecord& from, otlp::trace::v1::Span& to) {
  to.set_trace_id(from.context.trace.ToBytes());
  to.set_span_id(SpanIdBytes(from.context.span));
  if (from.parent != 0) to.set_parent_span_id(SpanIdBytes(from.parent));
  to.set_name(from.name);
  to.set_kind(KindOf(from.kind));
  to.set_start_time_unix_nano(Nanos(from.start));
  to.set_end_time_unix_nano(Nanos(from.end));
  to.set_flags(from.context.flags);
  for (const SpanAttribute& attribute : from.attributes) {
    auto& written = *to.add_attributes();
    written.set_key(attribute.key);
    SetValue(attribute.value, *written.mutable_value());
  }
  // A server does not say OK of itself: OpenTelemetry, Set Status.
  if (from.failed) to.mutable_status()->set_code(otlp::trace::v1::Status::STATUS_CODE_ERROR);
}

}  // namespace

otlp::collector::trace::v1::ExportTraceServiceRequest EncodeSpans(const TracedService& service,
                                                                  const SpanBatch& batch) {
  otlp::collector::trace::v1::ExportTraceServiceRequest request;
  auto& spans = *request.add_resource_spans();
  const auto describe = [&](const char* key, const std::string& value) {
    auto& written = *spans.mutable_resource()->add_attributes();
    written.set_key(key);
    written.mutable_value()->set_string_value(value);
  };
  describe("service.namespace", kScope);
  describe("service.name", service.name);
  describe("service.version", service.version);
  describe("service.instance.id", service.instance);
  auto& scope = *spans.add_scope_spans();
  scope.mutable_scope()->set_name(kScope);
  scope.mutable_scope()->set_version(service.version);
  for (const auto& span : batch) Encode(*span, *scope.add_spans());
  return request;
}

}  // namespace penstock
