#include "router_service/oip/decision_stream.h"

#include <algorithm>
#include <utility>

#include <grpcpp/grpcpp.h>

#include "common/net/grpc_status.h"

namespace penstock::router {

using Reactor = grpc::ServerWriteReactor<v1::Decision>;

// What a watcher's callbacks and the log's share. Lives as long as either.
class DecisionStreams::Stream : public std::enable_shared_from_this<DecisionStreams::Stream> {
 public:
  void Start(Reactor* reactor, DecisionLog& log, const std::string& pool) {
    {
      MutexLock lock(mutex_);
      reactor_ = reactor;
    }
    auto watch = log.Watch(pool, [weak = weak_from_this()] {
      if (auto self = weak.lock()) self->Pump();
    });
    MutexLock lock(mutex_);
    watch_ = std::move(watch);
  }

  // Writes what waits, one message at a time.
  void Pump() {
    MutexLock lock(mutex_);
    if (reactor_ == nullptr || writing_ || watch_ == nullptr) return;
    current_ = watch_->TryNext();
    if (current_ == nullptr) return;
    writing_ = true;
    reactor_->StartWrite(current_.get());
  }

  void Written(bool ok) {
    {
      MutexLock lock(mutex_);
      writing_ = false;
    }
    if (ok) {
      Pump();
    } else {
      Finish(absl::CancelledError("the watcher went away"));
    }
  }

  void Finish(const absl::Status& status) {
    std::shared_ptr<DecisionWatch> watch;
    {
      MutexLock lock(mutex_);
      if (reactor_ != nullptr) std::exchange(reactor_, nullptr)->Finish(ToGrpcStatus(status));
      watch = std::move(watch_);
    }
    // Outside the lock: the log calls Pump under a lock of its own.
    if (watch != nullptr) watch->Close();
  }

 private:
  Mutex mutex_;
  Reactor* reactor_ ABSL_GUARDED_BY(mutex_) = nullptr;  // null: finished
  std::shared_ptr<DecisionWatch> watch_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  SharedDecision current_ ABSL_GUARDED_BY(mutex_);  // alive while it is written
};

namespace {

// Deletes itself when gRPC is done with it.
template <typename Stream>
class StreamReactor final : public Reactor {
 public:
  explicit StreamReactor(std::shared_ptr<Stream> stream) : stream_(std::move(stream)) {}
  void OnWriteDone(bool ok) override { stream_->Written(ok); }
  void OnCancel() override { stream_->Finish(absl::CancelledError("the watcher went away")); }
  void OnDone() override { delete this; }

 private:
  const std::shared_ptr<Stream> stream_;
};

class RefusedReactor final : public Reactor {
 public:
  explicit RefusedReactor(const absl::Status& status) { Finish(ToGrpcStatus(status)); }
  void OnDone() override { delete this; }
};

}  // namespace

Reactor* DecisionStreams::Open(const std::string& pool) {
  auto stream = std::make_shared<Stream>();
  {
    MutexLock lock(mutex_);
    if (ended_) return Refuse(absl::UnavailableError("the router is draining"));
    streams_.erase(std::remove_if(streams_.begin(), streams_.end(),
                                  [](const auto& weak) { return weak.expired(); }),
                   streams_.end());
    streams_.push_back(stream);
  }
  auto* reactor = new StreamReactor<Stream>(stream);
  reactor->StartSendInitialMetadata();  // the client learns that the watch has begun
  stream->Start(reactor, log_, pool);
  stream->Pump();
  return reactor;
}

Reactor* DecisionStreams::Refuse(const absl::Status& status) { return new RefusedReactor(status); }

void DecisionStreams::EndAll() {
  std::vector<std::weak_ptr<Stream>> streams;
  {
    MutexLock lock(mutex_);
    ended_ = true;
    streams.swap(streams_);
  }
  for (const auto& weak : streams) {
    if (auto stream = weak.lock()) stream->Finish(absl::UnavailableError("the router is draining"));
  }
}

}  // namespace penstock::router
