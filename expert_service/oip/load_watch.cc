#include "expert_service/oip/load_watch.h"

#include <utility>

namespace penstock::expert {

LoadWatch::LoadWatch(absl::Duration interval, Read read, const Clock& clock, Timers& timers,
                     std::function<void(LoadWatch*)> on_done)
    : interval_(interval),
      read_(std::move(read)),
      clock_(clock),
      timers_(timers),
      on_done_(std::move(on_done)) {}

void LoadWatch::Begin() {
  self_ = shared_from_this();
  Write();
}

void LoadWatch::Write() {
  load_.Clear();
  read_(load_);
  bool stop = false;
  grpc::Status status;
  {
    MutexLock lock(mutex_);
    stop = stopping_;
    state_ = stop ? State::kFinished : State::kWriting;
    status = end_status_;
  }
  if (stop) {
    Finish(status);
  } else {
    StartWrite(&load_);
  }
}

void LoadWatch::OnWriteDone(bool ok) {
  grpc::Status status;
  {
    MutexLock lock(mutex_);
    if (ok && !stopping_) {
      state_ = State::kWaiting;
      timer_ = timers_.Schedule(clock_.Now() + interval_, [this] { Write(); });
      return;
    }
    state_ = State::kFinished;
    status = stopping_ ? end_status_ : grpc::Status::CANCELLED;
  }
  Finish(status);
}

void LoadWatch::Stop(const grpc::Status& status) {
  {
    MutexLock lock(mutex_);
    if (state_ == State::kFinished || stopping_) return;
    stopping_ = true;
    end_status_ = status;
    // A write under way, a first write to come, or a timer that has gone off: these finish.
    if (state_ != State::kWaiting || !timers_.Cancel(timer_)) return;
    state_ = State::kFinished;
  }
  Finish(status);
}

void LoadWatch::End() {
  Stop(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the expert service drains"));
}

void LoadWatch::OnCancel() { Stop(grpc::Status::CANCELLED); }

void LoadWatch::OnDone() {
  const std::shared_ptr<LoadWatch> self = std::move(self_);
  on_done_(this);
}

}  // namespace penstock::expert
