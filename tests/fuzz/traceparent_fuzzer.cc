#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/strings/string_view.h"
#include "common/tracing/trace_context.h"

namespace {

void Check(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

// Whatever a caller sends as traceparent is none, or one that goes on as it was meant.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  const auto context = penstock::TraceContext::Parse(text);
  if (!context.has_value()) return 0;
  Check(size <= penstock::TraceContext::kMaxLength);
  Check(context->trace.valid() && context->span != 0);
  const std::string written = context->ToString();
  // Trace and span as they came, and a header that everybody reads alike.
  Check(written.substr(3, 49) == text.substr(3, 49));
  Check(penstock::TraceContext::Parse(written) == context);
  return 0;
}
