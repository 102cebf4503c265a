#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>

#include "common/mutex.h"
#include "common/time/clock.h"
#include "common/time/timers.h"
#include "penstock/v1/expert_control.pb.h"

namespace penstock::expert {

// One WatchLoad stream: writes a Load, waits `interval`, writes the next. Keeps itself alive from
// Begin to OnDone, which tells `on_done`. gRPC is never called with the lock held: it may call back
// on the same thread.
class LoadWatch final : public grpc::ServerWriteReactor<v1::Load>,
                        public std::enable_shared_from_this<LoadWatch> {
 public:
  using Read = std::function<void(v1::Load&)>;

  LoadWatch(absl::Duration interval, Read read, const Clock& clock, Timers& timers,
            std::function<void(LoadWatch*)> on_done);
  // The first message.
  void Begin();
  // From the server's side; the client sees UNAVAILABLE.
  void End();

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  enum class State { kIdle, kWriting, kWaiting, kFinished };

  void Write();
  // Ends the stream now, or as soon as the write or timer under way allows.
  void Stop(const grpc::Status& status);

  const absl::Duration interval_;
  const Read read_;
  const Clock& clock_;
  Timers& timers_;
  const std::function<void(LoadWatch*)> on_done_;
  v1::Load load_;  // of the write under way
  std::shared_ptr<LoadWatch> self_;

  Mutex mutex_;
  State state_ ABSL_GUARDED_BY(mutex_) = State::kIdle;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::Status end_status_ ABSL_GUARDED_BY(mutex_);
  Timers::Id timer_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace penstock::expert
