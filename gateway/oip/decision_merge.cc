#include "gateway/oip/decision_merge.h"

#include <utility>

#include "common/net/grpc_bytes.h"
#include "common/net/grpc_status.h"

namespace penstock::gateway {

void DecisionMerge::Begin() {
  self_ = shared_from_this();
  open_streams_.Add(self_);
}

void DecisionMerge::Watch(const RpcClient& router, const Bytes& request,
                          const CallOptions& options) {
  {
    MutexLock lock(mutex_);
    ++open_;
  }
  auto source = router.ServerStream(
      kWatchDecisions, request, options,
      [self = shared_from_this()](Bytes decision) { self->Push(std::move(decision)); },
      [self = shared_from_this()](const absl::Status& status) { self->SourceEnded(status); });
  bool broken = false;
  {
    MutexLock lock(mutex_);
    broken = broken_;
    if (!broken) sources_.push_back(source);
  }
  if (broken) source->Cancel();
}

void DecisionMerge::Started() { SourceEnded(absl::UnavailableError("no router is healthy")); }

void DecisionMerge::Push(Bytes decision) {
  {
    MutexLock lock(mutex_);
    if (broken_ || queue_.size() >= kMaxQueued) return;
    queue_.push_back(std::move(decision));
  }
  Pump();
}

void DecisionMerge::SourceEnded(const absl::Status& status) {
  {
    MutexLock lock(mutex_);
    if (--open_ == 0 && status_.ok()) status_ = status;
  }
  Pump();
}

void DecisionMerge::OnWriteDone(bool ok) {
  {
    MutexLock lock(mutex_);
    writing_ = false;
  }
  if (ok) {
    Pump();
  } else {
    Break(absl::CancelledError("the watcher went away"));
  }
}

void DecisionMerge::OnCancel() { Break(absl::CancelledError("the watcher went away")); }

void DecisionMerge::End() {
  Break(absl::UnavailableError("the gateway is draining"));
  bool stuck = false;
  {
    MutexLock lock(mutex_);
    stuck = writing_;
  }
  if (stuck) Cancel();
}

void DecisionMerge::Break(const absl::Status& status) {
  std::vector<std::shared_ptr<OutgoingCall>> sources;
  {
    MutexLock lock(mutex_);
    if (!broken_) status_ = status;
    broken_ = true;
    queue_.clear();
    sources.swap(sources_);
  }
  for (const auto& source : sources) source->Cancel();
  Pump();
}

void DecisionMerge::Pump() {
  Bytes decision;
  bool finish = false;
  absl::Status status;
  {
    MutexLock lock(mutex_);
    if (finished_ || writing_) return;
    if (!queue_.empty()) {
      decision = std::move(queue_.front());
      queue_.pop_front();
      writing_ = true;
    } else if (broken_ || open_ == 0) {
      finished_ = finish = true;
      status = status_;
    } else {
      return;
    }
  }
  if (finish) {
    Finish(ToGrpcStatus(status));
  } else {
    StartWrite(ToByteBuffer(decision));
  }
}

void DecisionMerge::OnDone() {
  open_streams_.Remove(self_);
  const std::shared_ptr<DecisionMerge> last = std::move(self_);
}

}  // namespace penstock::gateway
