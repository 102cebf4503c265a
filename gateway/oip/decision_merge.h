#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "common/bytes.h"
#include "common/mutex.h"
#include "common/net/infer_call.h"
#include "common/net/oip/open_streams.h"
#include "common/net/rpc/rpc_client.h"
#include "common/net/rpc/server_rpc.h"

namespace penstock::gateway {

inline constexpr char kWatchDecisions[] = "/penstock.v1.Routing/WatchDecisions";

// WatchDecisions over several routers as one stream. A client that reads too slowly misses
// decisions: the queue keeps the oldest and drops what comes on top. Keeps itself alive from Begin
// to OnDone.
class DecisionMerge final : public ServerRpc, public std::enable_shared_from_this<DecisionMerge> {
 public:
  DecisionMerge(std::unique_ptr<RpcArrival> arrival, OpenStreams<DecisionMerge>& open)
      : ServerRpc(std::move(arrival)), open_streams_(open) {}

  void Begin();
  // One more router; before Started.
  void Watch(const RpcClient& router, const Bytes& request, const CallOptions& options);
  // All routers are watched; ends at once when there is none.
  void Started();
  // From the server's side. What is queued, and a message that the client does not take, is lost.
  void End();

 private:
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

  void Push(Bytes decision);
  void SourceEnded(const absl::Status& status);
  // The client is told nothing more but `status`.
  void Break(const absl::Status& status);
  void Pump();

  // Decisions held for a client that is slower than the routers.
  static constexpr size_t kMaxQueued = 1024;

  OpenStreams<DecisionMerge>& open_streams_;
  std::shared_ptr<DecisionMerge> self_;  // until OnDone
  Mutex mutex_;
  std::deque<Bytes> queue_ ABSL_GUARDED_BY(mutex_);
  // One for each open source and one until Started.
  size_t open_ ABSL_GUARDED_BY(mutex_) = 1;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<OutgoingCall>> sources_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock::gateway
