#pragma once

#include <grpcpp/grpcpp.h>

#include <deque>
#include <memory>
#include <set>
#include <vector>

#include "common/mutex.h"
#include "penstock/v1/routing.grpc.pb.h"

namespace penstock::gateway {

class DecisionMerge;

// The streams that are open, so that a drain can end them. Thread-safe.
class DecisionMerges {
 public:
  void Add(DecisionMerge* merge);
  void Remove(DecisionMerge* merge);
  void EndAll();

 private:
  Mutex mutex_;
  std::set<DecisionMerge*> open_ ABSL_GUARDED_BY(mutex_);
};

// WatchDecisions over several routers as one stream. A client that reads too slowly misses decisions:
// the queue keeps the oldest and drops what comes on top. Owns itself: gRPC calls OnDone last.
class DecisionMerge final : public grpc::ServerWriteReactor<v1::Decision> {
 public:
  explicit DecisionMerge(DecisionMerges& merges) : merges_(merges) { merges_.Add(this); }
  void Refuse(const grpc::Status& status) { Finish(status); }
  // One more router; before Started.
  void Watch(v1::Routing::Stub& stub, const v1::WatchDecisionsRequest& request,
             std::shared_ptr<grpc::ClientContext> context);
  // All routers are watched; ends at once when there is none.
  void Started();

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  class Source;

  void Push(v1::Decision decision);
  void SourceEnded(const grpc::Status& status);

  // Decisions held for a client that is slower than the routers.
  static constexpr size_t kMaxQueued = 1024;

  DecisionMerges& merges_;
  Mutex mutex_;
  std::deque<v1::Decision> queue_ ABSL_GUARDED_BY(mutex_);  // front: being written
  // One for each open source and one until Started.
  size_t open_ ABSL_GUARDED_BY(mutex_) = 1;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::shared_ptr<grpc::ClientContext>> contexts_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock::gateway
