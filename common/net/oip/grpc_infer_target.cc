#include "common/net/oip/grpc_infer_target.h"

#include <grpcpp/create_channel.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/net/connection_limits.h"
#include "common/net/health_watch.h"
#include "common/net/tls.h"
#include "common/status_macros.h"

namespace penstock {
namespace {

const std::string& InferMethod() {
  static const auto& method = *new std::string("/inference.GRPCInferenceService/ModelInfer");
  return method;
}

grpc::ChannelArguments TargetArguments(const InferTargetOptions& options) {
  grpc::ChannelArguments arguments;
  const int limit = static_cast<int>(
      std::min<uint64_t>(options.max_message_bytes, std::numeric_limits<int>::max()));
  arguments.SetMaxReceiveMessageSize(limit);
  arguments.SetMaxSendMessageSize(limit);
  // Retries are ours: they go to another replica, and are charged. Without a service configuration
  // gRPC makes one kind only, and that one is needed: of a call that its connection, going away, did
  // not send any more, or that the server says it has not seen. A request of any size may be.
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  arguments.SetInt(GRPC_ARG_PER_RPC_RETRY_BUFFER_SIZE, std::numeric_limits<int>::max());
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_CHANNELZ, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kStreamLookaheadBytes);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_FRAME_SIZE, kMaxFrameBytes);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5'000);  // how long a connect may take
  // Who is back serves within two seconds: gRPC adds up to a fifth to a pause, and a probe or two follow.
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1'000);
  // A pod that was restarted has another address. By itself gRPC looks a name up every 30 s at most, and what
  // it finds as the connection ends is the old one still.
  arguments.SetInt(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, 1'000);
  if (!options.server_name.empty()) {
    arguments.SetSslTargetNameOverride(options.server_name);
    arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, options.server_name);
  }
  return arguments;
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(const config::v1::Endpoint& endpoint,
                                                           const InferTargetOptions& options) {
  if (endpoint.address().empty()) return absl::InvalidArgumentError("address is empty");
  if (absl::StartsWith(endpoint.address(), "inprocess:")) {
    return absl::InvalidArgumentError(absl::StrCat(
        "address is \"", endpoint.address(), "\", which is known inside `penstock serve` only"));
  }
  PENSTOCK_ASSIGN_OR_RETURN(std::shared_ptr<grpc::ChannelCredentials> credentials,
                            MakeChannelCredentials(endpoint));
  PENSTOCK_ASSIGN_OR_RETURN(const ClientKeepalive keepalive,
                            ClientKeepalive::Read(endpoint, options.pings_permitted));
  grpc::ChannelArguments arguments = TargetArguments(options);
  keepalive.Apply(arguments);
  return grpc::CreateCustomChannel(endpoint.address(), credentials, arguments);
}

}  // namespace

struct GrpcInferTarget::State {
  std::shared_ptr<grpc::Channel> channel;
  std::string address;
  RpcClient rpc;
  std::shared_ptr<HealthWatch> health;
};

absl::StatusOr<std::shared_ptr<GrpcInferTarget>> GrpcInferTarget::Create(
    const config::v1::Endpoint& endpoint, ClientQueues& queues, InferTargetOptions options) {
  PENSTOCK_ASSIGN_OR_RETURN(std::shared_ptr<grpc::Channel> channel,
                            MakeChannel(endpoint, options));
  return Over(std::move(channel), endpoint.address(), queues, std::move(options));
}

std::shared_ptr<GrpcInferTarget> GrpcInferTarget::Over(std::shared_ptr<grpc::Channel> channel,
                                                       std::string address, ClientQueues& queues,
                                                       InferTargetOptions options) {
  RpcClient rpc(channel, queues);
  auto health = std::make_shared<HealthWatch>(rpc, std::move(options.on_health));
  health->Start();
  return std::shared_ptr<GrpcInferTarget>(new GrpcInferTarget(std::make_unique<State>(
      State{std::move(channel), std::move(address), std::move(rpc), std::move(health)})));
}

GrpcInferTarget::GrpcInferTarget(std::unique_ptr<State> state) : state_(std::move(state)) {}

GrpcInferTarget::~GrpcInferTarget() { state_->health->Stop(); }

std::shared_ptr<OutgoingCall> GrpcInferTarget::ModelInfer(
    Bytes request, CallOptions options, absl::AnyInvocable<void(InferReply)> done) {
  return state_->rpc.Unary(InferMethod(), request, options, std::move(done));
}

bool GrpcInferTarget::healthy() const { return state_->health->healthy(); }
absl::string_view GrpcInferTarget::address() const { return state_->address; }
const std::shared_ptr<grpc::Channel>& GrpcInferTarget::channel() const { return state_->channel; }
const RpcClient& GrpcInferTarget::rpc() const { return state_->rpc; }

}  // namespace penstock
