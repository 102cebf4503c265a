#include "gateway/page/decision_feed.h"

#include <algorithm>
#include <utility>

namespace penstock::gateway {

DecisionFeed::DecisionFeed(const Clock& clock, Timers& timers, Limits limits)
    : clock_(clock),
      timers_(timers),
      limits_(limits),
      last_(static_cast<uint64_t>(absl::ToUnixMicros(clock.Now()))),
      first_(last_) {}

void DecisionFeed::Push(Bytes decision) {
  Answers answers;
  {
    MutexLock lock(mutex_);
    if (stopped_ || !watching_) return;
    bytes_ += decision.size();
    kept_.push_back(std::move(decision));
    ++last_;
    while (kept_.size() > limits_.decisions || (bytes_ > limits_.bytes && kept_.size() > 1)) {
      bytes_ -= kept_.front().size();
      kept_.pop_front();
    }
    TakeListeners(answers);
  }
  for (auto& [done, batch] : answers) done(std::move(batch));
}

void DecisionFeed::Read(uint64_t after, absl::Time until, Done done) {
  Batch batch;
  bool watch = false;
  {
    MutexLock lock(mutex_);
    read_ = clock_.Now();
    watch = !stopped_;
    if (watch && !watching_) {
      watching_ = true;
      ScheduleIdleCheck();
    }
    batch = BatchAfter(after);
    const bool wait = batch.decisions.empty() && !stopped_ && until > read_ &&
                      listeners_.size() < limits_.listeners;
    if (wait) {
      const uint64_t id = next_listener_++;
      const Timers::Id timer =
          timers_.Schedule(until, [feed = weak_from_this(), id] {
            if (const auto alive = feed.lock(); alive != nullptr) alive->TimeOut(id);
          });
      listeners_.emplace(id, Listener{after, std::move(done), timer});
      done = nullptr;
    }
  }
  if (watch && source_.watch) source_.watch();
  if (done) done(std::move(batch));
}

void DecisionFeed::Stop() {
  Answers answers;
  {
    MutexLock lock(mutex_);
    stopped_ = true;
    watching_ = false;
    timers_.Cancel(idle_timer_);
    TakeListeners(answers);
  }
  for (auto& [done, batch] : answers) done(std::move(batch));
  if (source_.unwatch) source_.unwatch();
}

DecisionFeed::Batch DecisionFeed::BatchAfter(uint64_t after) const {
  Batch batch;
  batch.next = last_;
  // One that nobody gave out shows all there is, and says nothing of what is gone.
  const bool known = after >= first_ && after <= last_;
  const uint64_t fresh = known ? last_ - after : kept_.size();
  const auto shown = std::min<uint64_t>(fresh, kept_.size());
  batch.missed = fresh - shown;
  batch.decisions.assign(kept_.end() - static_cast<ptrdiff_t>(shown), kept_.end());
  return batch;
}

void DecisionFeed::TakeListeners(Answers& answers) {
  for (auto& [id, listener] : listeners_) {
    timers_.Cancel(listener.timer);
    answers.emplace_back(std::move(listener.done), BatchAfter(listener.after));
  }
  listeners_.clear();
}

void DecisionFeed::TimeOut(uint64_t listener) {
  Done done;
  Batch batch;
  {
    MutexLock lock(mutex_);
    const auto it = listeners_.find(listener);
    if (it == listeners_.end()) return;
    done = std::move(it->second.done);
    batch = BatchAfter(it->second.after);
    listeners_.erase(it);
  }
  done(std::move(batch));
}

void DecisionFeed::ScheduleIdleCheck() {
  idle_timer_ = timers_.Schedule(read_ + limits_.idle, [feed = weak_from_this()] {
    if (const auto alive = feed.lock(); alive != nullptr) alive->CheckIdle();
  });
}

void DecisionFeed::CheckIdle() {
  {
    MutexLock lock(mutex_);
    if (stopped_ || !watching_) return;
    if (!listeners_.empty() || clock_.Now() < read_ + limits_.idle) {
      read_ = listeners_.empty() ? read_ : clock_.Now();
      return ScheduleIdleCheck();
    }
    watching_ = false;
    kept_.clear();
    bytes_ = 0;
  }
  if (source_.unwatch) source_.unwatch();
}

}  // namespace penstock::gateway
