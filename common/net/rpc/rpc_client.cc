#include "common/net/rpc/rpc_client.h"

#include <grpcpp/alarm.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>

#include <chrono>

#include "common/net/grpc_bytes.h"
#include "common/net/grpc_metadata.h"
#include "common/net/grpc_status.h"
#include "common/net/rpc/completion_queues.h"

namespace penstock {
namespace {

absl::Status ShuttingDown() { return absl::UnavailableError("this process is shutting down"); }

void Prepare(grpc::ClientContext& context, const CallOptions& options) {
  if (options.deadline != absl::InfiniteFuture()) {
    context.set_deadline(absl::ToChronoTime(options.deadline));
  }
  if (options.wait_for_ready) context.set_wait_for_ready(true);
  ForSendable(options.metadata, [&](const std::string& key, const std::string& value) {
    context.AddMetadata(key, value);
  });
}

class UnaryClientCall final : public OutgoingCall, public PendingCall, public QueueEvent {
 public:
  UnaryClientCall(std::shared_ptr<CompletionQueues> queues,
                  absl::AnyInvocable<void(InferReply)> done)
      : queues_(std::move(queues)), lane_(queues_->Pick()), done_(std::move(done)) {}

  void Start(grpc::GenericStub& stub, const std::string& method, const Bytes& request,
             const CallOptions& options, std::shared_ptr<UnaryClientCall> self) {
    {
      const CompletionQueues::Start start(*queues_, lane_);
      if (start) {
        Prepare(context_, options);
        reader_ = stub.PrepareUnaryCall(&context_, method, ToByteBuffer(request),
                                        queues_->queue(lane_));
        self_ = std::move(self);  // until OnEvent
        queues_->Link(lane_, *this);
        reader_->StartCall();
        reader_->Finish(&response_, &status_, Tag());
        return;
      }
    }
    done_(InferReply{ShuttingDown(), {}, {}});
  }

  void Cancel() override { context_.TryCancel(); }
  void CancelPending() override { context_.TryCancel(); }

 private:
  void OnEvent(bool /*ok*/) override {
    queues_->Unlink(lane_, *this);
    const std::shared_ptr<UnaryClientCall> self = std::move(self_);
    InferReply reply;
    reply.status = FromGrpcStatus(status_);
    if (status_.ok()) reply.body = FromByteBuffer(response_);
    response_.Clear();
    reply.trailers = FromGrpcMetadata(context_.GetServerTrailingMetadata());
    reply.connection_lost = !status_.ok() && reply.trailers.empty() &&
                            EndedByConnection(status_, context_.debug_error_string());
    // What the callback holds goes when it has run, even if the caller keeps the OutgoingCall.
    absl::AnyInvocable<void(InferReply)> done = std::move(done_);
    done(std::move(reply));
  }

  const std::shared_ptr<CompletionQueues> queues_;
  const size_t lane_;
  absl::AnyInvocable<void(InferReply)> done_;
  grpc::ClientContext context_;
  grpc::ByteBuffer response_;
  grpc::Status status_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<grpc::ByteBuffer>> reader_;
  std::shared_ptr<UnaryClientCall> self_;
};

// Starts the call with its request, reads until there is no more, then asks how it ended.
class StreamClientCall final : public OutgoingCall, public PendingCall, public QueueEvent {
 public:
  StreamClientCall(std::shared_ptr<CompletionQueues> queues,
                   absl::AnyInvocable<void(Bytes)> on_message,
                   absl::AnyInvocable<void(absl::Status)> done)
      : queues_(std::move(queues)),
        lane_(queues_->Pick()),
        on_message_(std::move(on_message)),
        done_(std::move(done)) {}

  void Start(grpc::GenericStub& stub, const std::string& method, const Bytes& request,
             const CallOptions& options, std::shared_ptr<StreamClientCall> self) {
    {
      const CompletionQueues::Start start(*queues_, lane_);
      if (start) {
        Prepare(context_, options);
        request_ = ToByteBuffer(request);
        stream_ = stub.PrepareCall(&context_, method, queues_->queue(lane_));
        self_ = std::move(self);  // until the call is over
        queues_->Link(lane_, *this);
        stream_->StartCall(Tag());
        return;
      }
    }
    done_(ShuttingDown());
  }

  void Cancel() override { context_.TryCancel(); }
  void CancelPending() override { context_.TryCancel(); }

 private:
  enum class Stage { kStarting, kWriting, kReading, kFinishing };

  void OnEvent(bool ok) override {
    if (stage_ == Stage::kFinishing) {
      Over(FromGrpcStatus(status_));
      return;
    }
    if (stage_ == Stage::kReading && ok) {
      on_message_(FromByteBuffer(message_));
      message_.Clear();
    }
    bool started = false;
    {
      const CompletionQueues::Start start(*queues_, lane_);
      if (start) {
        started = true;
        Next(ok);
      }
    }
    if (!started) Over(ShuttingDown());
  }

  void Next(bool ok) {
    if (!ok) {
      stage_ = Stage::kFinishing;
      stream_->Finish(&status_, Tag());
    } else if (stage_ == Stage::kStarting) {
      stage_ = Stage::kWriting;
      stream_->WriteLast(request_, grpc::WriteOptions(), Tag());
    } else {
      stage_ = Stage::kReading;
      stream_->Read(&message_, Tag());
    }
  }

  void Over(const absl::Status& status) {
    queues_->Unlink(lane_, *this);
    const std::shared_ptr<StreamClientCall> self = std::move(self_);
    absl::AnyInvocable<void(absl::Status)> done = std::move(done_);
    on_message_ = nullptr;
    done(status);
  }

  const std::shared_ptr<CompletionQueues> queues_;
  const size_t lane_;
  absl::AnyInvocable<void(Bytes)> on_message_;
  absl::AnyInvocable<void(absl::Status)> done_;
  Stage stage_ = Stage::kStarting;
  grpc::ClientContext context_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer message_;
  grpc::Status status_;
  std::unique_ptr<grpc::ClientAsyncReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>> stream_;
  std::shared_ptr<StreamClientCall> self_;
};

class Delay final : public OutgoingCall, public PendingCall, public QueueEvent {
 public:
  Delay(std::shared_ptr<CompletionQueues> queues, absl::AnyInvocable<void()> due)
      : queues_(std::move(queues)), lane_(queues_->Pick()), due_(std::move(due)) {}

  void Start(absl::Duration delay, std::shared_ptr<Delay> self) {
    const CompletionQueues::Start start(*queues_, lane_);
    if (!start) return;
    self_ = std::move(self);  // until OnEvent
    queues_->Link(lane_, *this);
    alarm_.Set(queues_->queue(lane_),
               std::chrono::system_clock::now() + absl::ToChronoNanoseconds(delay), Tag());
  }

  void Cancel() override { alarm_.Cancel(); }
  void CancelPending() override { alarm_.Cancel(); }

 private:
  void OnEvent(bool due) override {
    queues_->Unlink(lane_, *this);
    const std::shared_ptr<Delay> self = std::move(self_);
    absl::AnyInvocable<void()> then = std::move(due_);
    if (due) then();
  }

  const std::shared_ptr<CompletionQueues> queues_;
  const size_t lane_;
  absl::AnyInvocable<void()> due_;
  grpc::Alarm alarm_;
  std::shared_ptr<Delay> self_;
};

}  // namespace

struct RpcClient::State {
  std::shared_ptr<CompletionQueues> queues;
  mutable grpc::GenericStub stub;
};

RpcClient::RpcClient(std::shared_ptr<grpc::Channel> channel, ClientQueues& queues)
    : state_(std::make_shared<const State>(
          State{queues.queues(), grpc::GenericStub(std::move(channel))})) {}

RpcClient::~RpcClient() = default;
RpcClient::RpcClient(const RpcClient&) = default;
RpcClient::RpcClient(RpcClient&&) noexcept = default;

std::shared_ptr<OutgoingCall> RpcClient::Unary(const std::string& method, const Bytes& request,
                                               const CallOptions& options,
                                               absl::AnyInvocable<void(InferReply)> done) const {
  auto call = std::make_shared<UnaryClientCall>(state_->queues, std::move(done));
  call->Start(state_->stub, method, request, options, call);
  return call;
}

std::shared_ptr<OutgoingCall> RpcClient::ServerStream(
    const std::string& method, const Bytes& request, const CallOptions& options,
    absl::AnyInvocable<void(Bytes)> on_message,
    absl::AnyInvocable<void(absl::Status)> done) const {
  auto call = std::make_shared<StreamClientCall>(state_->queues, std::move(on_message),
                                                 std::move(done));
  call->Start(state_->stub, method, request, options, call);
  return call;
}

std::shared_ptr<OutgoingCall> RpcClient::After(absl::Duration delay,
                                               absl::AnyInvocable<void()> due) const {
  auto call = std::make_shared<Delay>(state_->queues, std::move(due));
  call->Start(delay, call);
  return call;
}

}  // namespace penstock
