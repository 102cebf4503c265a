#include "expert_service/oip/load_watch.h"

#include <utility>

#include "common/net/grpc_messages.h"

namespace penstock::expert {

LoadWatch::LoadWatch(std::unique_ptr<RpcArrival> arrival, absl::Duration interval, Read read,
                     const Clock& clock, Timers& timers, OpenStreams<LoadWatch>& open)
    : ServerRpc(std::move(arrival)),
      interval_(interval),
      read_(std::move(read)),
      clock_(clock),
      timers_(timers),
      open_(open) {}

void LoadWatch::Begin() {
  self_ = shared_from_this();
  open_.Add(self_);
  Write();
}

void LoadWatch::Write() {
  v1::Load load;
  read_(load);
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
    StartWrite(SerializeMessage(load));
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
  open_.Remove(self_);
  const std::shared_ptr<LoadWatch> last = std::move(self_);
}

}  // namespace penstock::expert
