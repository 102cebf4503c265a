#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/net/infer_call.h"
#include "common/net/rpc/client_queues.h"
#include "common/net/rpc/rpc_client.h"
#include "penstock/config/v1/server.pb.h"

namespace grpc {
class Channel;
}  // namespace grpc

namespace penstock {

constexpr uint64_t kDefaultMaxMessageBytes = 64 << 20;
// HTTP/2 on both sides of every hop. gRPC's 64 KiB of lookahead makes a tensor of 64 KiB wait for a
// window update; frames of 16 KiB make four of it.
constexpr int kStreamLookaheadBytes = 1 << 20;
constexpr int kMaxFrameBytes = 256 << 10;

struct InferTargetOptions {
  uint64_t max_message_bytes = kDefaultMaxMessageBytes;
  // Whose certificate the server shows. Empty: that of the address.
  std::string server_name;
  // The server is one of ours: it bears pings as often as the endpoint says, though no request
  // comes.
  bool pings_permitted = false;
  // Runs on a thread of the queues, or of gRPC, whenever healthy() changes. Must not block.
  absl::AnyInvocable<void(bool healthy)> on_health;
};

// ModelInfer over a channel, as raw bytes. Watches grpc.health.v1 of the whole server in the
// background, reconnecting; a server that has Check only is asked every second, and one without the
// service is healthy while it answers. Starts unhealthy. Calls may be made whatever the health is.
// The channel is its own: one connection, no retries, no compression, no look-up of a service
// configuration; files of certificates are watched.
class GrpcInferTarget final : public InferTarget {
 public:
  // INVALID_ARGUMENT names the endpoint's field that is wrong.
  static absl::StatusOr<std::shared_ptr<GrpcInferTarget>> Create(
      const config::v1::Endpoint& endpoint, ClientQueues& queues, InferTargetOptions options = {});
  // Over a channel that exists, for example OipServer::InProcessChannel.
  static std::shared_ptr<GrpcInferTarget> Over(std::shared_ptr<grpc::Channel> channel,
                                               std::string address, ClientQueues& queues,
                                               InferTargetOptions options = {});
  // Calls under way go on. `on_health` does not run after this returns.
  ~GrpcInferTarget() override;

  std::shared_ptr<OutgoingCall> ModelInfer(Bytes request, CallOptions options,
                                           absl::AnyInvocable<void(InferReply)> done) override;
  bool healthy() const override;
  absl::string_view address() const override;

  // For the other methods of the server: OipControlClient, penstock.v1.Routing, ExpertControl.
  const RpcClient& rpc() const;
  // For stubs of the synchronous API, in programs that serve nothing.
  const std::shared_ptr<grpc::Channel>& channel() const;

 private:
  struct State;
  explicit GrpcInferTarget(std::unique_ptr<State> state);

  const std::unique_ptr<State> state_;
};

}  // namespace penstock
