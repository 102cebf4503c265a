#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/time/clock.h"
#include "common/time/timers.h"
#include "common/tracing/span.h"

namespace penstock {

using SpanBatch = std::vector<std::unique_ptr<SpanRecord>>;

// Where batches go.
class SpanExporter {
 public:
  // `rejected`: of an OK answer, the spans that were not taken.
  using Done = absl::AnyInvocable<void(absl::Status status, uint64_t rejected)>;

  virtual ~SpanExporter() = default;
  // `done` runs once, on any thread, possibly before this returns. What fails is lost.
  virtual void Export(SpanBatch batch, Done done) = 0;
};

// What became of spans, for metrics. Must not block.
class SpanObserver {
 public:
  virtual ~SpanObserver() = default;
  virtual void Exported(uint64_t spans) = 0;
  virtual void Dropped(uint64_t spans) = 0;  // the queue was full, or the service ended
  virtual void Failed(uint64_t spans) = 0;   // the collector was away, or did not take them
};

// Spans wait here until there are enough for a message, or the first has waited long enough; one
// message is under way at a time, and what comes while the queue is full is dropped. Thread-safe.
class SpanBatcher : public std::enable_shared_from_this<SpanBatcher> {
 public:
  struct Options {
    size_t max_queue = 4096;
    size_t max_batch = 512;
    absl::Duration max_delay = absl::Seconds(1);
  };

  // All outlive Finish; the exporter outlives what runs on `timers`.
  SpanBatcher(Options options, const Clock& clock, Timers& timers, SpanExporter& exporter,
              SpanObserver& observer)
      : options_(options),
        clock_(clock),
        timers_(timers),
        exporter_(exporter),
        observer_(observer) {}

  // Never blocks for long: no message is made on this thread.
  void Add(std::unique_ptr<SpanRecord> span);

  // Sends what waits, for as long as `patience`; the rest is dropped. Blocks. Spans that come later
  // are nobody's any more, and neither timers nor observer are touched.
  void Finish(absl::Duration patience);

 private:
  struct Waiting {
    std::unique_ptr<SpanRecord> span;
    absl::Time since;
  };

  void ScheduleNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Send();
  void Sent(uint64_t spans, const absl::Status& status, uint64_t rejected);

  const Options options_;
  const Clock& clock_;
  Timers& timers_;
  SpanExporter& exporter_;
  SpanObserver& observer_;
  Mutex mutex_;
  CondVar idle_;
  std::deque<Waiting> waiting_ ABSL_GUARDED_BY(mutex_);
  bool sending_ ABSL_GUARDED_BY(mutex_) = false;
  bool hurrying_ ABSL_GUARDED_BY(mutex_) = false;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  Timers::Id timer_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Time timer_at_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock
