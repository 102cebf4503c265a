#include "common/tracing/span.h"

#include "common/tracing/tracer.h"
#include "common/utf8.h"

namespace penstock {
namespace {

// As many bytes of it as fit, whole characters.
absl::string_view Shortened(absl::string_view text, size_t most) {
  if (text.size() <= most) return text;
  size_t end = most;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

}  // namespace

void Span::SetText(const char* key, absl::string_view value) {
  if (value.empty()) return;
  const absl::string_view text = Shortened(value, kMaxTextBytes);
  SetValue(key, IsUtf8(text) ? std::string(text) : std::string("?"));
}

// Assigned in place: g++ 12 takes a variant that is moved for one that is not initialised.
template <class Value>
void Span::SetValue(const char* key, Value value) {
  SpanAttribute& attribute = record_->attributes.emplace_back();
  attribute.key = key;
  attribute.value = std::move(value);
}
template void Span::SetValue(const char* key, bool value);
template void Span::SetValue(const char* key, int64_t value);
template void Span::SetValue(const char* key, double value);
template void Span::SetValue(const char* key, std::string value);

Span Span::MakeChild(const char* name, SpanKind kind, absl::Time start) const {
  return tracer_->BeginChild(record_->context, name, kind, start);
}

void Span::Finish(absl::Time end) {
  record_->end = end;
  const std::shared_ptr<Tracer> tracer = std::move(tracer_);
  tracer->Take(std::move(record_));
}

}  // namespace penstock
