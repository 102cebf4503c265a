#include "router_service/oip/decision_stream.h"

#include <optional>
#include <utility>

#include "common/net/grpc_messages.h"

namespace penstock::router {

// One watcher: writes what the log's queue for it holds, one message at a time.
class DecisionStreams::Stream final : public ServerRpc,
                                      public std::enable_shared_from_this<Stream> {
 public:
  Stream(std::unique_ptr<RpcArrival> arrival, DecisionStreams& streams)
      : ServerRpc(std::move(arrival)), streams_(streams) {}

  void Begin(DecisionLog& log, const std::string& pool) {
    self_ = shared_from_this();
    auto watch = log.Watch(pool, [weak = weak_from_this()] {
      if (auto self = weak.lock()) self->Pump();
    });
    {
      MutexLock lock(mutex_);
      watch_ = std::move(watch);
    }
    SendHeaders();  // the client learns that the watch has begun
    streams_.streams_.Add(self_);
    Pump();
  }

  void End() {
    End(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the router is draining"));
  }

 private:
  void OnWriteDone(bool ok) override {
    {
      MutexLock lock(mutex_);
      writing_ = false;
    }
    if (ok) {
      Pump();
    } else {
      End(grpc::Status::CANCELLED);
    }
  }
  void OnCancel() override { End(grpc::Status::CANCELLED); }
  void OnDone() override {
    streams_.streams_.Remove(self_);
    const std::shared_ptr<Stream> last = std::move(self_);
  }

  void End(const grpc::Status& status) {
    std::shared_ptr<DecisionWatch> watch;
    {
      MutexLock lock(mutex_);
      if (!end_.has_value()) end_ = status;
      watch = std::move(watch_);
    }
    Pump();
    // Outside the lock: the log calls Pump under a lock of its own.
    if (watch != nullptr) watch->Close();
  }

  // Starts what the state allows, without the lock: it may run reactions.
  void Pump() {
    SharedDecision decision;
    grpc::Status status;
    {
      MutexLock lock(mutex_);
      if (finished_ || writing_) return;
      if (end_.has_value()) {
        finished_ = true;
        status = *end_;
      } else {
        if (watch_ != nullptr) decision = watch_->TryNext();
        if (decision == nullptr) return;
        writing_ = true;
      }
    }
    if (decision != nullptr) {
      StartWrite(SerializeMessage(*decision));
    } else {
      Finish(status);
    }
  }

  DecisionStreams& streams_;
  std::shared_ptr<Stream> self_;  // until OnDone
  Mutex mutex_;
  std::shared_ptr<DecisionWatch> watch_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<grpc::Status> end_ ABSL_GUARDED_BY(mutex_);
};

void DecisionStreams::Open(std::unique_ptr<RpcArrival> arrival, const std::string& pool) {
  std::make_shared<Stream>(std::move(arrival), *this)->Begin(log_, pool);
}

void DecisionStreams::EndAll() { streams_.EndAll(); }

}  // namespace penstock::router
