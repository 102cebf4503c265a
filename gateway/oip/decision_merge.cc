#include "gateway/oip/decision_merge.h"

#include <utility>

namespace penstock::gateway {

// One router's stream. Owns itself: gRPC calls OnDone last.
class DecisionMerge::Source final : public grpc::ClientReadReactor<v1::Decision> {
 public:
  Source(DecisionMerge& merge, v1::WatchDecisionsRequest request,
         std::shared_ptr<grpc::ClientContext> context)
      : merge_(merge), request_(std::move(request)), context_(std::move(context)) {}

  void Start(v1::Routing::Stub& stub) {
    stub.async()->WatchDecisions(context_.get(), &request_, this);
    StartRead(&decision_);
    StartCall();
  }
  void OnReadDone(bool ok) override {
    if (!ok) return;
    merge_.Push(std::move(decision_));
    decision_.Clear();
    StartRead(&decision_);
  }
  void OnDone(const grpc::Status& status) override {
    DecisionMerge& merge = merge_;
    delete this;
    merge.SourceEnded(status);
  }

 private:
  DecisionMerge& merge_;
  const v1::WatchDecisionsRequest request_;
  const std::shared_ptr<grpc::ClientContext> context_;
  v1::Decision decision_;
};

void DecisionMerge::Watch(v1::Routing::Stub& stub, const v1::WatchDecisionsRequest& request,
                          std::shared_ptr<grpc::ClientContext> context) {
  {
    MutexLock lock(mutex_);
    ++open_;
    contexts_.push_back(context);
  }
  (new Source(*this, request, std::move(context)))->Start(stub);
}

void DecisionMerge::Started() {
  SourceEnded(grpc::Status(grpc::StatusCode::UNAVAILABLE, "no router is healthy"));
}

void DecisionMerge::Push(v1::Decision decision) {
  MutexLock lock(mutex_);
  if (finished_ || broken_ || queue_.size() >= kMaxQueued) return;
  queue_.push_back(std::move(decision));
  if (queue_.size() == 1) StartWrite(&queue_.front());
}

void DecisionMerge::OnWriteDone(bool ok) {
  MutexLock lock(mutex_);
  queue_.pop_front();
  if (!ok) {
    broken_ = true;
    queue_.clear();
  }
  if (!queue_.empty()) {
    StartWrite(&queue_.front());
  } else if (open_ == 0 && !finished_) {
    finished_ = true;
    Finish(grpc::Status::OK);  // in a reaction of this call: OnDone comes after it
  }
}

void DecisionMerge::OnCancel() {
  std::vector<std::shared_ptr<grpc::ClientContext>> contexts;
  {
    MutexLock lock(mutex_);
    broken_ = true;
    contexts = contexts_;
  }
  for (const auto& context : contexts) context->TryCancel();
}

void DecisionMerge::SourceEnded(const grpc::Status& status) {
  grpc::Status result;
  {
    MutexLock lock(mutex_);
    if (--open_ > 0 || finished_ || !queue_.empty()) return;
    finished_ = true;
    result = broken_ ? grpc::Status::CANCELLED : status;
  }
  Finish(result);  // outside the lock: OnDone may delete this before Finish returns
}

void DecisionMerge::OnDone() {
  merges_.Remove(this);
  delete this;
}

void DecisionMerges::Add(DecisionMerge* merge) {
  MutexLock lock(mutex_);
  open_.insert(merge);
}

void DecisionMerges::Remove(DecisionMerge* merge) {
  MutexLock lock(mutex_);
  open_.erase(merge);
}

void DecisionMerges::EndAll() {
  MutexLock lock(mutex_);
  for (DecisionMerge* merge : open_) merge->OnCancel();
}

}  // namespace penstock::gateway
