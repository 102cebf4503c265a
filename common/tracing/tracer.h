#pragma once

#include <memory>
#include <optional>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/tracing/span.h"
#include "common/tracing/span_batcher.h"
#include "common/tracing/trace_context.h"
#include "common/tracing/trace_ids.h"
#include "common/tracing/trace_sampling.h"

namespace penstock {

// Decides which requests are traced, begins their spans, and passes on those that have ended. Held
// by shared_ptr: spans under way keep it. Thread-safe.
class Tracer : public std::enable_shared_from_this<Tracer> {
 public:
  struct Options {
    double sample_share = 0.01;
    double max_per_second = 100;
    // Of the ids, drawn at random for each process.
    uint64_t seed_high = 0;
    uint64_t seed_low = 0;
  };
  struct Begun {
    Span span;  // none: the request is not traced here
    // What goes on in the place of the caller's traceparent. Unset: what came goes on.
    std::optional<TraceContext> forward;
  };

  // `now`: from when the limit counts.
  Tracer(const Options& options, std::shared_ptr<SpanBatcher> batcher, absl::Time now)
      : sampler_(options.sample_share),
        limit_(options.max_per_second, now),
        ids_(options.seed_high, options.seed_low),
        batcher_(std::move(batcher)) {}

  // A request that came with this header, empty: without. A valid one is followed, sampled or not;
  // in the place of another, and of none, a trace is drawn. Where the limit has no more, what goes
  // on says that it is not sampled: those asked next do not trace it either.
  Begun Begin(absl::string_view traceparent, const char* name, SpanKind kind, absl::Time start);
  // Beneath a span that is recorded.
  Span BeginChild(const TraceContext& parent, const char* name, SpanKind kind, absl::Time start);

  // A span that has ended.
  void Take(std::unique_ptr<SpanRecord> record) { batcher_->Add(std::move(record)); }

 private:
  const ShareSampler sampler_;
  TraceLimit limit_;
  TraceIds ids_;
  const std::shared_ptr<SpanBatcher> batcher_;
};

}  // namespace penstock
