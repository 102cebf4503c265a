#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "common/net/grpc_messages.h"
#include "common/net/rpc/server_rpc.h"

// For .cc files: includes gRPC.

namespace penstock {

// What serves a method with one request and many messages.
template <class Request>
using StreamMethod = std::function<void(std::unique_ptr<RpcArrival>, const Request&)>;

// The beginning of such an RPC: reads the request, then leaves the RPC to the method.
template <class Request>
class ServerStreamRpc final : public ServerRpc {
 public:
  static void Open(std::unique_ptr<RpcArrival> arrival, const StreamMethod<Request>& method) {
    auto* rpc = new ServerStreamRpc(std::move(arrival), method);
    rpc->StartRead(rpc->message_);
  }

 private:
  ServerStreamRpc(std::unique_ptr<RpcArrival> arrival, const StreamMethod<Request>& method)
      : ServerRpc(std::move(arrival)), method_(method) {}

  void OnReadDone(bool ok) override {
    Request request;
    if (cancelled_) {
      Finish(grpc::Status(grpc::StatusCode::CANCELLED, "the client went away"));
    } else if (!ok) {
      Finish(NoRequest());
    } else if (const grpc::Status parsed = ParseMessage(message_, request); !parsed.ok()) {
      Finish(parsed);
    } else {
      const std::unique_ptr<ServerStreamRpc> last(this);
      method_(HandOver(), request);
    }
  }
  void OnCancel() override { cancelled_ = true; }
  void OnDone() override { delete this; }

  const StreamMethod<Request>& method_;
  grpc::ByteBuffer message_;
  bool cancelled_ = false;
};

}  // namespace penstock
