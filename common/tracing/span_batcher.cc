#include "common/tracing/span_batcher.h"

#include <algorithm>
#include <utility>

namespace penstock {

void SpanBatcher::Add(std::unique_ptr<SpanRecord> span) {
  MutexLock lock(mutex_);
  if (closed_) return;
  if (waiting_.size() >= options_.max_queue) {
    observer_.Dropped(1);
    return;
  }
  waiting_.push_back({std::move(span), clock_.Now()});
  // Others have seen to those in between.
  if (waiting_.size() == 1 || waiting_.size() == options_.max_batch) ScheduleNext();
}

void SpanBatcher::ScheduleNext() {
  if (closed_ || sending_ || waiting_.empty()) return;
  const bool now = hurrying_ || waiting_.size() >= options_.max_batch;
  const absl::Time at = now ? clock_.Now() : waiting_.front().since + options_.max_delay;
  if (timer_ != 0) {
    if (timer_at_ <= at) return;
    timers_.Cancel(timer_);
  }
  timer_at_ = at;
  timer_ = timers_.Schedule(at, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->Send();
  });
}

void SpanBatcher::Send() {
  SpanBatch batch;
  {
    MutexLock lock(mutex_);
    timer_ = 0;
    if (closed_ || sending_ || waiting_.empty()) return;
    const size_t size = std::min(options_.max_batch, waiting_.size());
    batch.reserve(size);
    for (size_t i = 0; i < size; ++i) {
      batch.push_back(std::move(waiting_.front().span));
      waiting_.pop_front();
    }
    sending_ = true;
  }
  const uint64_t spans = batch.size();
  exporter_.Export(std::move(batch), [self = shared_from_this(), spans](const absl::Status& status,
                                                                        uint64_t rejected) {
    self->Sent(spans, status, rejected);
  });
}

void SpanBatcher::Sent(uint64_t spans, const absl::Status& status, uint64_t rejected) {
  MutexLock lock(mutex_);
  sending_ = false;
  if (closed_) return;
  const uint64_t failed = status.ok() ? std::min(rejected, spans) : spans;
  if (failed > 0) observer_.Failed(failed);
  if (failed < spans) observer_.Exported(spans - failed);
  ScheduleNext();
  if (waiting_.empty()) idle_.NotifyAll();
}

void SpanBatcher::Finish(absl::Duration patience) {
  const absl::Time until = clock_.Now() + patience;
  std::deque<Waiting> left;
  MutexLock lock(mutex_);
  if (closed_) return;
  hurrying_ = true;
  ScheduleNext();
  while (sending_ || !waiting_.empty()) {
    const absl::Duration time_left = until - clock_.Now();
    if (time_left <= absl::ZeroDuration()) break;
    idle_.WaitFor(mutex_, time_left);
  }
  closed_ = true;
  if (timer_ != 0) timers_.Cancel(timer_);
  if (!waiting_.empty()) observer_.Dropped(waiting_.size());
  waiting_.swap(left);
}

}  // namespace penstock
