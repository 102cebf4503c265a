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
// the first of them, opened again when it ends, and closed when the last one is gone. Thread-safe.
class LoadSubscription : public std::enable_shared_from_this<LoadSubscription> {
 public:
  // Runs on a thread of the client's queues, without a lock, and must not block.
  using Sink = std::function<void(const v1::Load&)>;

  explicit LoadSubscription(RpcClient rpc) : rpc_(std::move(rpc)) {}

  // `sink` is told while `listener` lives, which it may borrow. Those who are gone are forgotten
  // here too: an endpoint that says nothing never tells that they are.
  void Add(std::weak_ptr<const void> listener, Sink sink);
  // Nothing is told after this, but for what is being told.
  void Stop();

 private:
  struct Listener {
    std::weak_ptr<const void> alive;
    std::shared_ptr<const Sink> sink;
  };

  // Whether anybody is left.
  bool Forget() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Open();
  void OnLoad(const Bytes& message);
  void OnEnd(const absl::Status& status);

  const RpcClient rpc_;
  Mutex mutex_;
  std::vector<Listener> listeners_ ABSL_GUARDED_BY(mutex_);
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  bool open_ ABSL_GUARDED_BY(mutex_) = false;  // a stream, or a pause before the next
  std::shared_ptr<OutgoingCall> stream_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock::router
