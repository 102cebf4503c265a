#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "common/bytes.h"
#include "common/mutex.h"
#include "common/net/rpc/rpc_client.h"
#include "penstock/v1/expert_control.pb.h"

namespace penstock::router {

// What an endpoint says of its load, for all who want to know: one WatchLoad stream, opened with
// the first of them, opened again when it ends, and closed when the last one wants no more.
// Thread-safe.
class LoadSubscription : public std::enable_shared_from_this<LoadSubscription> {
 public:
  // False: wants no more. Runs on a thread of the client's queues, and must not block.
  using Sink = std::function<bool(const v1::Load&)>;

  explicit LoadSubscription(RpcClient rpc) : rpc_(std::move(rpc)) {}

  void Add(Sink sink);
  // Nothing is told after this, but for what is being told.
  void Stop();

 private:
  void Open();
  void OnLoad(const Bytes& message);
  void OnEnd(const absl::Status& status);

  const RpcClient rpc_;
  Mutex mutex_;
  std::vector<Sink> sinks_ ABSL_GUARDED_BY(mutex_);
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  bool open_ ABSL_GUARDED_BY(mutex_) = false;  // a stream, or a pause before the next
  std::shared_ptr<OutgoingCall> stream_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock::router
