#pragma once

#include <functional>
#include <memory>

#include "common/mutex.h"
#include "common/net/oip/open_streams.h"
#include "common/net/rpc/server_rpc.h"
#include "common/time/clock.h"
#include "common/time/timers.h"
#include "penstock/v1/expert_control.pb.h"

namespace penstock::expert {

// One WatchLoad stream: writes a Load, waits `interval`, writes the next. Keeps itself alive from
// Begin to OnDone. Operations start without the lock: they may run reactions.
class LoadWatch final : public ServerRpc,
                        public std::enable_shared_from_this<LoadWatch> {
 public:
  using Read = std::function<void(v1::Load&)>;

  LoadWatch(std::unique_ptr<RpcArrival> arrival, absl::Duration interval, Read read,
            const Clock& clock, Timers& timers, OpenStreams<LoadWatch>& open);
  // The first message.
  void Begin();
  // From the server's side; the client sees UNAVAILABLE.
  void End();

 private:
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

  enum class State { kIdle, kWriting, kWaiting, kFinished };

  void Write();
  // Ends the stream now, or as soon as the write or timer under way allows.
  void Stop(const grpc::Status& status);

  const absl::Duration interval_;
  const Read read_;
  const Clock& clock_;
  Timers& timers_;
  OpenStreams<LoadWatch>& open_;
  std::shared_ptr<LoadWatch> self_;

  Mutex mutex_;
  State state_ ABSL_GUARDED_BY(mutex_) = State::kIdle;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::Status end_status_ ABSL_GUARDED_BY(mutex_);
  Timers::Id timer_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace penstock::expert
