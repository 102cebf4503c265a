#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/async_unary_call.h>
#include <grpcpp/support/byte_buffer.h>

#include <atomic>
#include <cstddef>

#include "common/mutex.h"
#include "common/net/infer_call.h"
#include "common/net/oip/oip_core.h"
#include "common/net/oip/oip_service.h"
#include "common/net/rpc/completion_queues.h"

namespace penstock {

// One ModelInfer on a completion queue, from waiting for a client to the answer's last byte. Counts
// its references: gRPC's events and the handler.
class UnaryCall final : public IncomingCall {
 public:
  // Waits for one call on the lane; when it comes, the next UnaryCall takes its place.
  static void Arm(OipCore& core, OipService& service, CompletionQueues& queues, size_t lane);

  const Bytes& request() const override { return request_; }
  absl::Time deadline() const override { return deadline_; }
  const Metadata& metadata() const override { return metadata_; }
  const Caller& caller() const override { return caller_; }
  void SetCancelHandler(absl::AnyInvocable<void()> on_cancel) override;
  void Finish(InferReply reply) override;

 private:
  class Event final : public QueueEvent {
   public:
    Event(UnaryCall& call, void (UnaryCall::*on_event)(bool ok))
        : call_(call), on_event_(on_event) {}
    void OnEvent(bool ok) override { (call_.*on_event_)(ok); }

   private:
    UnaryCall& call_;
    void (UnaryCall::*const on_event_)(bool ok);
  };

  UnaryCall(OipCore& core, OipService& service, CompletionQueues& queues, size_t lane);
  ~UnaryCall() override = default;

  void OnArrived(bool ok);
  void OnOver(bool ok);      // answered or cancelled
  void OnAnswered(bool ok);  // the answer is sent, or will not be
  void LetGo();              // by the handler
  void Unref();

  OipCore& core_;
  OipService& service_;
  CompletionQueues& queues_;
  const size_t lane_;
  std::atomic<int> references_{1};

  grpc::ServerContext context_;
  grpc::ByteBuffer buffer_;
  grpc::ServerAsyncResponseWriter<grpc::ByteBuffer> writer_;
  Event arrived_;
  Event over_;
  Event answered_;

  Bytes request_;
  absl::Time deadline_;
  Metadata metadata_;
  Caller caller_;

  Mutex mutex_;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  absl::AnyInvocable<void()> on_cancel_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock
