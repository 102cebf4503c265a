#include "common/tracing/tracer.h"

#include <utility>

namespace penstock {

Tracer::Begun Tracer::Begin(absl::string_view traceparent, const char* name, SpanKind kind,
                            absl::Time start) {
  std::optional<TraceContext> parent;
  if (!traceparent.empty()) parent = TraceContext::Parse(traceparent);
  if (parent.has_value() && !parent->sampled()) return {};
  if (!parent.has_value()) {
    parent.emplace().trace = ids_.NextTrace();
    parent->flags = TraceContext::kRandom;
    if (sampler_.Takes(parent->trace)) parent->flags |= TraceContext::kSampled;
  }
  if (parent->sampled() && !limit_.TryTake(start)) {
    parent->flags = static_cast<uint8_t>(parent->flags & ~TraceContext::kSampled);
  }
  // Whoever changes the flags names a span of its own: section 3.4 of the recommendation.
  if (!parent->sampled()) return {Span(), parent->WithSpan(ids_.NextSpan())};
  Begun begun;
  begun.span = BeginChild(*parent, name, kind, start);
  begun.forward = begun.span.context();
  return begun;
}

Span Tracer::BeginChild(const TraceContext& parent, const char* name, SpanKind kind,
                        absl::Time start) {
  auto record = std::make_unique<SpanRecord>();
  record->context = parent.WithSpan(ids_.NextSpan());
  record->parent = parent.span;
  record->name = name;
  record->kind = kind;
  record->start = start;
  record->attributes.reserve(16);
  return Span(shared_from_this(), std::move(record));
}

}  // namespace penstock
