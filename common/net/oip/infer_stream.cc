#include "common/net/oip/infer_stream.h"

#include <utility>
#include <vector>

#include "common/net/grpc_bytes.h"
#include "common/net/grpc_status.h"
#include "common/net/oip/stream_message.h"

namespace penstock {

// One message of a stream, as the handler sees it.
class StreamCall final : public IncomingCall {
 public:
  StreamCall(std::shared_ptr<InferStream> stream, Bytes request)
      : stream_(std::move(stream)), request_(std::move(request)) {}

  ~StreamCall() override {
    if (!finished_) Finish(InferReply{DroppedCall(), {}, {}});
  }

  const Bytes& request() const override { return request_; }
  absl::Time deadline() const override { return stream_->deadline(); }
  const Metadata& metadata() const override { return stream_->metadata(); }
  const Caller& caller() const override { return stream_->caller(); }
  bool streamed() const override { return true; }

  void SetCancelHandler(absl::AnyInvocable<void()> on_cancel) override {
    {
      MutexLock lock(mutex_);
      if (finished_) return;
      if (!cancelled_) {
        on_cancel_ = std::move(on_cancel);
        return;
      }
    }
    on_cancel();
  }

  void Finish(InferReply reply) override {
    absl::AnyInvocable<void()> dropped;  // destroyed without the lock: it may hold this call
    {
      MutexLock lock(mutex_);
      if (finished_) return;
      finished_ = true;
      dropped = std::move(on_cancel_);
    }
    stream_->Answer(position_, ToByteBuffer(reply.status.ok()
                                                ? StreamAnswer(reply.body)
                                                : StreamError(reply.status, request_)));
  }

  void Cancel() {
    absl::AnyInvocable<void()> on_cancel;
    {
      MutexLock lock(mutex_);
      if (finished_ || cancelled_) return;
      cancelled_ = true;
      on_cancel = std::move(on_cancel_);
    }
    if (on_cancel) on_cancel();
  }

 private:
  friend class InferStream;

  const std::shared_ptr<InferStream> stream_;
  const Bytes request_;
  InferStream::Calls::iterator position_;
  Mutex mutex_;
  bool finished_ = false;   // guarded by mutex_ but for the destructor
  bool cancelled_ = false;  // guarded by mutex_
  absl::AnyInvocable<void()> on_cancel_;
};

void InferStream::Open(OipCore& core, std::unique_ptr<RpcArrival> arrival) {
  std::shared_ptr<InferStream> stream(new InferStream(core, std::move(arrival)));
  stream->self_ = stream;
  core.streams.Add(stream);
  stream->Pump();
}

InferStream::InferStream(OipCore& core, std::unique_ptr<RpcArrival> arrival)
    : ServerRpc(std::move(arrival)),
      core_(core),
      metadata_(ClientMetadata(context())),
      caller_(core.callers->Identify(context())),
      deadline_(ClientDeadline(context())) {}

void InferStream::End() {
  {
    MutexLock lock(mutex_);
    ending_ = true;
  }
  Pump();
}

void InferStream::OnReadDone(bool ok) {
  if (!ok) {
    {
      MutexLock lock(mutex_);
      reads_done_ = true;
    }
    Pump();
    return;
  }
  auto call = std::make_shared<StreamCall>(shared_from_this(), FromByteBuffer(reading_));
  reading_.Clear();
  {
    MutexLock lock(mutex_);
    if (gone_ || finished_) {
      call->finished_ = true;
      return;
    }
    call->position_ = calls_.insert(calls_.end(), call);
  }
  core_.Accepted();
  core_.handler->ModelInfer(std::move(call));
  {
    MutexLock lock(mutex_);
    read_wanted_ = true;
  }
  Pump();
}

void InferStream::Answer(Calls::iterator call, grpc::ByteBuffer message) {
  {
    MutexLock lock(mutex_);
    calls_.erase(call);
    if (gone_ || finished_) {
      core_.Answered();
    } else {
      answers_.push_back(std::move(message));
    }
  }
  Pump();
}

void InferStream::OnWriteDone(bool ok) {
  {
    MutexLock lock(mutex_);
    write_in_flight_ = false;
    core_.Answered();
    if (!ok) {
      gone_ = true;
      core_.Answered(answers_.size());
      answers_.clear();
    }
  }
  Pump();
}

void InferStream::OnCancel() {
  std::vector<std::shared_ptr<StreamCall>> calls;
  {
    MutexLock lock(mutex_);
    gone_ = true;
    core_.Answered(answers_.size());
    answers_.clear();
    for (const std::weak_ptr<StreamCall>& call : calls_) {
      if (auto held = call.lock()) calls.push_back(std::move(held));
    }
  }
  for (const auto& call : calls) call->Cancel();
  Pump();
}

void InferStream::OnDone() {
  core_.streams.Remove(self_);
  // The last reference may be this one.
  const std::shared_ptr<InferStream> last = std::move(self_);
}

void InferStream::Pump() {
  bool read = false, write = false, finish = false;
  grpc::Status status;
  {
    MutexLock lock(mutex_);
    if (finished_) return;
    if (!write_in_flight_ && !answers_.empty()) {
      writing_.Swap(&answers_.front());
      answers_.pop_front();
      write_in_flight_ = write = true;
    }
    const size_t outstanding = calls_.size() + answers_.size() + (write_in_flight_ ? 1 : 0);
    if (read_wanted_ && !reads_done_ && !gone_ && !ending_ &&
        outstanding < static_cast<size_t>(core_.max_stream_outstanding)) {
      read_wanted_ = false;
      starting_read_ = read = true;
    }
    if (!write_in_flight_ && !starting_read_ &&
        (gone_ || (outstanding == 0 && (reads_done_ || ending_)))) {
      finished_ = finish = true;
      if (gone_) {
        status = grpc::Status(grpc::StatusCode::CANCELLED, "the client went away");
      } else if (!reads_done_) {
        status = grpc::Status(grpc::StatusCode::UNAVAILABLE, "the server is draining");
      }
    }
  }
  if (write) StartWrite(writing_);
  if (read) {
    StartRead(reading_);
    {
      MutexLock lock(mutex_);
      starting_read_ = false;
    }
    // What was held up by the flag.
    Pump();
  }
  if (finish) Finish(status);
}

}  // namespace penstock
