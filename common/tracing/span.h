#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/tracing/trace_context.h"

namespace penstock {

class Tracer;

enum class SpanKind { kInternal, kServer, kClient };

struct SpanAttribute {
  using Value = std::variant<std::string, bool, int64_t, double>;
  const char* key = "";
  Value value;
};

// One span as it is sent. Names and keys are words of the code.
struct SpanRecord {
  TraceContext context;  // its own span
  SpanId parent = 0;     // 0: the trace's root
  const char* name = "";
  SpanKind kind = SpanKind::kInternal;
  absl::Time start;
  absl::Time end;
  std::vector<SpanAttribute> attributes;
  bool failed = false;
};

// A span under way, or none, of a request that is not traced: then nothing is kept and nothing
// allocated. One thread at a time. What is not ended is not sent.
class Span {
 public:
  static constexpr size_t kMaxTextBytes = 256;

  Span() = default;
  Span(std::shared_ptr<Tracer> tracer, std::unique_ptr<SpanRecord> record)
      : tracer_(std::move(tracer)), record_(std::move(record)) {}

  bool recording() const { return record_ != nullptr; }
  // While it is recording.
  const TraceContext& context() const { return record_->context; }
  absl::Time start() const { return record_->start; }
  const std::shared_ptr<Tracer>& tracer() const { return tracer_; }

  // Longer texts are cut to kMaxTextBytes; what is no UTF-8 is told as "?". An empty text says
  // nothing.
  void Set(const char* key, absl::string_view value) {
    if (recording()) SetText(key, value);
  }
  void Set(const char* key, const char* value) { Set(key, absl::string_view(value)); }
  void Set(const char* key, const std::string& value) { Set(key, absl::string_view(value)); }
  void Set(const char* key, int64_t value) {
    if (recording()) SetValue(key, value);
  }
  void Set(const char* key, double value) {
    if (recording()) SetValue(key, value);
  }
  void Set(const char* key, bool value) {
    if (recording()) SetValue(key, value);
  }
  void SetFailed() {
    if (recording()) record_->failed = true;
  }

  // A span of its own beneath this one; none beneath none.
  Span Child(const char* name, SpanKind kind, absl::Time start) const {
    return recording() ? MakeChild(name, kind, start) : Span();
  }

  // Hands it to its tracer; from then on it is none.
  void End(absl::Time end) {
    if (recording()) Finish(end);
  }

 private:
  void SetText(const char* key, absl::string_view value);
  template <class Value>
  void SetValue(const char* key, Value value);
  Span MakeChild(const char* name, SpanKind kind, absl::Time start) const;
  void Finish(absl::Time end);

  std::shared_ptr<Tracer> tracer_;
  std::unique_ptr<SpanRecord> record_;  // null: none
};

}  // namespace penstock
