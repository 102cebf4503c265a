#pragma once

#include <grpcpp/impl/service_type.h>

#include <functional>
#include <memory>
#include <vector>

#include "common/net/caller_policy.h"
#include "common/net/rpc/completion_queues.h"
#include "common/net/rpc/server_rpc.h"
#include "common/net/rpc/server_stream_rpc.h"
#include "common/net/rpc/unary_rpc.h"

// For .cc files: includes gRPC.

namespace penstock {

// A service whose RPCs run on an OipServer's completion queues, those of its calls' data path.
// gRPC's callback API has threads of its own, which poll the same sockets and wake the queues'
// threads for every message: a third of a forwarded request's cost. Methods not added answer
// UNIMPLEMENTED.
class RpcService : public grpc::Service {
 public:
  // Waits for calls of every method on every queue. After the server has started.
  void Arm(CompletionQueues& queues, const CallerPolicy& callers);

 protected:
  using Open = std::function<void(std::unique_ptr<RpcArrival>)>;

  // In the constructor. `path` is "/package.Service/Method" and outlives the service.
  void AddMethod(const char* path, Open open);
  template <class Request, class Response>
  void AddUnary(const char* path, UnaryMethod<Request, Response> method) {
    AddMethod(path, [method = std::move(method)](std::unique_ptr<RpcArrival> arrival) {
      UnaryRpc<Request, Response>::Open(std::move(arrival), method);
    });
  }
  template <class Request>
  void AddServerStream(const char* path, StreamMethod<Request> method) {
    AddMethod(path, [method = std::move(method)](std::unique_ptr<RpcArrival> arrival) {
      ServerStreamRpc<Request>::Open(std::move(arrival), method);
    });
  }
  // A unary method that waits as its caller sees fit (UnaryCall). Returns its index.
  int AddRawUnary(const char* path);

 private:
  class Awaited;

  void ArmOne(size_t method, CompletionQueues& queues, size_t lane, const CallerPolicy& callers);
  void Register(const char* path, grpc::internal::RpcMethod::RpcType type, Open open);

  std::vector<Open> open_;  // empty: a raw unary method
};

}  // namespace penstock
