#include "common/net/rpc/unary_call.h"

#include <memory>
#include <utility>

#include "common/net/grpc_bytes.h"
#include "common/net/grpc_metadata.h"
#include "common/net/grpc_status.h"

namespace penstock {

void UnaryCall::Arm(OipCore& core, OipService& service, CompletionQueues& queues, size_t lane) {
  const CompletionQueues::Start start(queues, lane);
  if (!start) return;
  auto* call = new UnaryCall(core, service, queues, lane);
  // The queue is both: where the call's events and where its arrival go.
  auto* queue = static_cast<grpc::ServerCompletionQueue*>(queues.queue(lane));
  call->context_.AsyncNotifyWhenDone(call->over_.Tag());
  service.RequestModelInfer(&call->context_, &call->buffer_, &call->writer_, queue,
                            call->arrived_.Tag());
}

UnaryCall::UnaryCall(OipCore& core, OipService& service, CompletionQueues& queues, size_t lane)
    : core_(core),
      service_(service),
      queues_(queues),
      lane_(lane),
      writer_(&context_),
      arrived_(*this, &UnaryCall::OnArrived),
      over_(*this, &UnaryCall::OnOver),
      answered_(*this, &UnaryCall::OnAnswered) {}

void UnaryCall::OnArrived(bool ok) {
  if (!ok) {  // the server shuts down; over_ will not come
    Unref();
    return;
  }
  request_ = FromByteBuffer(buffer_);
  buffer_.Clear();
  deadline_ = ClientDeadline(context_);
  metadata_ = ClientMetadata(context_);
  caller_ = core_.callers->Identify(context_);
  core_.Accepted();
  // The handler may be done with this object, over_ included, before it returns.
  OipCore& core = core_;
  OipService& service = service_;
  CompletionQueues& queues = queues_;
  const size_t lane = lane_;
  references_.fetch_add(1, std::memory_order_relaxed);
  core.handler->ModelInfer(
      std::shared_ptr<IncomingCall>(this, [](UnaryCall* call) { call->LetGo(); }));
  Arm(core, service, queues, lane);
}

void UnaryCall::SetCancelHandler(absl::AnyInvocable<void()> on_cancel) {
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

void UnaryCall::Finish(InferReply reply) {
  absl::AnyInvocable<void()> dropped;  // destroyed without the lock: it may hold this call
  {
    MutexLock lock(mutex_);
    if (finished_) return;
    finished_ = true;
    dropped = std::move(on_cancel_);
  }
  ForSendable(reply.trailers, [this](const std::string& key, const std::string& value) {
    context_.AddTrailingMetadata(key, value);
  });
  const CompletionQueues::Start start(queues_, lane_);
  if (!start) {
    core_.Answered();  // nobody is there any more
    return;
  }
  references_.fetch_add(1, std::memory_order_relaxed);
  if (reply.status.ok()) {
    writer_.Finish(ToByteBuffer(reply.body), grpc::Status(), answered_.Tag());
  } else {
    writer_.FinishWithError(ToGrpcStatus(reply.status), answered_.Tag());
  }
}

void UnaryCall::OnOver(bool /*ok*/) {
  if (context_.IsCancelled()) {
    absl::AnyInvocable<void()> on_cancel;
    {
      MutexLock lock(mutex_);
      cancelled_ = true;
      if (!finished_) on_cancel = std::move(on_cancel_);
    }
    if (on_cancel) on_cancel();
  }
  Unref();
}

void UnaryCall::OnAnswered(bool /*ok*/) {
  core_.Answered();
  Unref();
}

void UnaryCall::LetGo() {
  bool finished;
  {
    MutexLock lock(mutex_);
    finished = finished_;
  }
  if (!finished) Finish(InferReply{DroppedCall(), {}, {}});
  Unref();
}

void UnaryCall::Unref() {
  if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

}  // namespace penstock
