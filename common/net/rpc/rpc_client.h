#pragma once

#include <memory>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/bytes.h"
#include "common/net/infer_call.h"
#include "common/net/rpc/client_queues.h"

namespace grpc {
class Channel;
}  // namespace grpc

namespace penstock {

// Calls of any method over one channel, on the threads of `queues`. `method` is
// "/package.Service/Method". Callbacks run on one of those threads and must not block; `done` runs
// exactly once, possibly before the call returns. Copies share the channel. Thread-safe.
class RpcClient {
 public:
  RpcClient(std::shared_ptr<grpc::Channel> channel, ClientQueues& queues);
  ~RpcClient();
  RpcClient(const RpcClient&);
  RpcClient(RpcClient&&) noexcept;

  std::shared_ptr<OutgoingCall> Unary(const std::string& method, const Bytes& request,
                                      const CallOptions& options,
                                      absl::AnyInvocable<void(InferReply)> done) const;

  // One request, many messages.
  std::shared_ptr<OutgoingCall> ServerStream(const std::string& method, const Bytes& request,
                                             const CallOptions& options,
                                             absl::AnyInvocable<void(Bytes)> on_message,
                                             absl::AnyInvocable<void(absl::Status)> done) const;

  // Runs `due` on one of the threads when the delay has passed; not when it is cancelled, or the
  // queues shut down, before.
  std::shared_ptr<OutgoingCall> After(absl::Duration delay, absl::AnyInvocable<void()> due) const;

  // A unary call with messages of protobuf.
  template <class Response, class Request>
  std::shared_ptr<OutgoingCall> Call(
      const std::string& method, const Request& request, const CallOptions& options,
      absl::AnyInvocable<void(absl::StatusOr<Response>)> done) const {
    return Unary(method, Bytes(request.SerializeAsString()), options,
                 [done = std::move(done)](InferReply reply) mutable {
                   done(reply.status.ok() ? Parse<Response>(reply.body) : reply.status);
                 });
  }

  template <class Message>
  static absl::StatusOr<Message> Parse(const Bytes& bytes) {
    std::string storage;
    const absl::string_view flat = bytes.Flat(storage);
    Message message;
    if (!message.ParseFromArray(flat.data(), static_cast<int>(flat.size()))) {
      return absl::InternalError("the server's answer cannot be parsed");
    }
    return message;
  }

 private:
  struct State;
  std::shared_ptr<const State> state_;
};

}  // namespace penstock
