#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <memory>
#include <utility>

#include "common/net/grpc_status.h"
#include "common/net/oip_core.h"

// For the .cc files of this folder: includes gRPC.

namespace penstock {

// One control RPC on its way through an OipControl. Has its own request and response, so that a client
// that goes away ends the RPC at once whatever the control does later.
template <class Request, class Response>
class ControlCall final : public grpc::ServerUnaryReactor {
 public:
  using Method = void (OipControl::*)(const ControlContext&, const Request&, Response&, ControlDone);

  static grpc::ServerUnaryReactor* Serve(OipCore& core, Method method,
                                         grpc::CallbackServerContext& context,
                                         const Request& request, Response& response) {
    std::shared_ptr<ControlCall> call(new ControlCall(core, context, request, response));
    call->self_ = call;
    (core.control->*method)(call->context_, call->request_, call->response_,
                            ControlDone(Completion(call)));
    return call.get();
  }

 private:
  // Answers when it is called, or when it is destroyed before that.
  class Completion {
   public:
    explicit Completion(std::shared_ptr<ControlCall> call) : call_(std::move(call)) {}
    Completion(Completion&& other) noexcept = default;
    ~Completion() {
      if (call_ != nullptr) call_->Complete(DroppedCall());
    }
    void operator()(const absl::Status& status) {
      if (auto call = std::exchange(call_, nullptr)) call->Complete(status);
    }

   private:
    std::shared_ptr<ControlCall> call_;
  };

  ControlCall(OipCore& core, grpc::CallbackServerContext& context, const Request& request,
              Response& response)
      : context_(MakeControlContext(context, *core.callers)),
        request_(request),
        grpc_response_(response) {}

  void Complete(const absl::Status& status) {
    if (finished_.exchange(true)) return;
    grpc_response_.Swap(&response_);
    Finish(ToGrpcStatus(status));
  }

  void OnCancel() override {
    if (finished_.exchange(true)) return;
    Finish(grpc::Status(grpc::StatusCode::CANCELLED, "the client went away"));
  }

  void OnDone() override { const std::shared_ptr<ControlCall> last = std::move(self_); }

  const ControlContext context_;
  const Request request_;
  Response response_;
  Response& grpc_response_;
  std::atomic<bool> finished_{false};
  std::shared_ptr<ControlCall> self_;  // until OnDone
};

}  // namespace penstock
