#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <utility>

#include "common/net/caller_policy.h"
#include "common/net/grpc_messages.h"
#include "common/net/grpc_status.h"
#include "common/net/oip/oip_core.h"
#include "common/net/rpc/server_rpc.h"

// For .cc files: includes gRPC.

namespace penstock {

// What serves a unary method: `done` runs exactly once, on any thread, possibly before the method
// returns; context, request and response live until it has run. Must not block.
template <class Request, class Response>
using UnaryMethod =
    std::function<void(const ControlContext&, const Request&, Response&, ControlDone)>;

// One unary RPC with messages of protobuf. Has its own request and response, so that a client that
// goes away ends the RPC at once whatever the method does later.
template <class Request, class Response>
class UnaryRpc final : public ServerRpc {
 public:
  static void Open(std::unique_ptr<RpcArrival> arrival,
                   const UnaryMethod<Request, Response>& method) {
    std::shared_ptr<UnaryRpc> rpc(new UnaryRpc(std::move(arrival), method));
    rpc->self_ = rpc;
    rpc->StartRead(rpc->message_);
  }

 private:
  // Answers when it is called, or when it is destroyed before that.
  class Completion {
   public:
    explicit Completion(std::shared_ptr<UnaryRpc> rpc) : rpc_(std::move(rpc)) {}
    Completion(Completion&& other) noexcept = default;
    ~Completion() {
      if (rpc_ != nullptr) rpc_->Complete(DroppedCall());
    }
    void operator()(const absl::Status& status) {
      if (auto rpc = std::exchange(rpc_, nullptr)) rpc->Complete(status);
    }

   private:
    std::shared_ptr<UnaryRpc> rpc_;
  };

  UnaryRpc(std::unique_ptr<RpcArrival> arrival, const UnaryMethod<Request, Response>& method)
      : ServerRpc(std::move(arrival)),
        method_(method),
        context_(MakeControlContext(context(), callers())) {}

  void OnReadDone(bool ok) override {
    const grpc::Status read = ok ? ParseMessage(message_, request_) : NoRequest();
    if (read.ok()) {
      method_(context_, request_, response_, ControlDone(Completion(self_)));
    } else if (!finished_.exchange(true)) {
      Finish(read);
    }
  }

  void Complete(const absl::Status& status) {
    if (finished_.exchange(true)) return;
    if (status.ok()) {
      WriteAndFinish(SerializeMessage(response_));
    } else {
      Finish(ToGrpcStatus(status));
    }
  }

  void OnCancel() override {
    if (finished_.exchange(true)) return;
    Finish(grpc::Status(grpc::StatusCode::CANCELLED, "the client went away"));
  }

  void OnDone() override { const std::shared_ptr<UnaryRpc> last = std::move(self_); }

  const UnaryMethod<Request, Response>& method_;
  const ControlContext context_;
  grpc::ByteBuffer message_;
  Request request_;
  Response response_;
  std::atomic<bool> finished_{false};
  std::shared_ptr<UnaryRpc> self_;  // until OnDone
};

}  // namespace penstock
