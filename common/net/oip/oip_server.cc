#include "common/net/oip/oip_server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <prometheus/counter.h>
#include <prometheus/registry.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/cpu_quota.h"
#include "common/logging/log.h"
#include "common/metrics/build_metrics.h"
#include "common/net/connection_limits.h"
#include "common/net/health_service.h"
#include "common/net/oip/grpc_infer_target.h"
#include "common/net/oip/infer_stream.h"
#include "common/net/oip/oip_core.h"
#include "common/net/oip/oip_service.h"
#include "common/net/rpc/completion_queues.h"
#include "common/net/rpc/unary_call.h"
#include "common/net/tls.h"
#include "common/status_macros.h"

namespace penstock {
namespace {

constexpr char kServiceName[] = "inference.GRPCInferenceService";
// Calls that a queue waits for at once: a burst of this many is matched without a pause.
constexpr int kArmedPerQueue = 64;
// Room for a token of the usual limit, 8 KiB, which gRPC's own default has not.
constexpr uint32_t kDefaultMaxMetadataBytes = 16 * 1024;
constexpr uint32_t kMostMetadataBytes = 1024 * 1024;
constexpr absl::Duration kDefaultGrace = absl::Seconds(1);
constexpr absl::Duration kDefaultTimeout = absl::Seconds(30);
// How long handlers have to answer calls that were cancelled because drain.timeout passed.
constexpr absl::Duration kCancelledCallsTimeout = absl::Seconds(5);

absl::StatusOr<absl::Duration> DurationField(const char* field, bool set,
                                             const google::protobuf::Duration& value,
                                             absl::Duration if_unset) {
  if (!set) return if_unset;
  const absl::Duration duration =
      absl::Seconds(value.seconds()) + absl::Nanoseconds(value.nanos());
  if (duration < absl::ZeroDuration()) {
    return absl::InvalidArgumentError(absl::StrCat(field, " is negative"));
  }
  return duration;
}

absl::Status CheckAddress(const std::string& address) {
  if (absl::StartsWith(address, "unix:")) return absl::OkStatus();
  const size_t colon = address.rfind(':');
  int port = -1;
  if (colon == std::string::npos || colon == 0 ||
      !absl::SimpleAtoi(address.substr(colon + 1), &port) || port < 0 || port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("server.grpc is \"", address, "\", want HOST:PORT or unix:PATH"));
  }
  return absl::OkStatus();
}

// Before the first builder is made: builders copy the list of plug-ins.
void InitGrpcOnce() {
  static const bool done = [] {
    grpc::EnableDefaultHealthCheckService(false);  // health_service.h says why
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    return true;
  }();
  (void)done;
}

prometheus::Counter* MakeCounter(const OipServerOptions& options, const char* what,
                                 const char* help) {
  if (options.registry == nullptr) return nullptr;
  return &prometheus::BuildCounter()
              .Name(absl::StrCat("penstock_", options.service, "_", what, "_total"))
              .Help(help)
              .Register(*options.registry)
              .Add({});
}

}  // namespace

struct OipServer::State {
  State(OipServerOptions options, bool tls)
      : name(std::move(options.service)),
        policy(std::move(options.trusted_names), options.trust_plaintext, tls),
        health({"", kServiceName}),
        service(core) {}

  const std::string name;
  CallerPolicy policy;
  OipCore core;
  HealthService health;
  OipService service;
  std::string address;
  absl::Duration grace;
  absl::Duration timeout;
  std::shared_ptr<grpc::ServerCredentials> credentials;
  std::unique_ptr<grpc::ServerBuilder> builder;
  std::shared_ptr<CompletionQueues> queues;
  std::unique_ptr<ClientQueues> client_queues;
  std::unique_ptr<grpc::Server> server;
  absl::AnyInvocable<void()> end_streams;
  std::atomic<bool> draining{false};
  bool drained = false;
};

OipServer::OipServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

absl::StatusOr<std::unique_ptr<OipServer>> OipServer::Create(OipServerOptions options) {
  InitGrpcOnce();
  const config::v1::Server& config = options.config;
  const int threads =
      config.has_threads() ? static_cast<int>(config.threads()) : std::clamp(UsableCores() / 2, 1, 64);
  if (threads < 1 || threads > 64) {
    return absl::InvalidArgumentError(
        absl::StrCat("server.threads is ", threads, ", want 1 to 64"));
  }
  const uint64_t max_message =
      config.has_max_message_bytes() ? config.max_message_bytes() : kDefaultMaxMessageBytes;
  if (max_message < 1024 || max_message > std::numeric_limits<int>::max()) {
    return absl::InvalidArgumentError(absl::StrCat("server.max_message_bytes is ", max_message,
                                                   ", want 1024 to 2147483647"));
  }
  const uint32_t max_metadata =
      config.has_max_metadata_bytes() ? config.max_metadata_bytes() : kDefaultMaxMetadataBytes;
  if (max_metadata < 1024 || max_metadata > kMostMetadataBytes) {
    return absl::InvalidArgumentError(absl::StrCat("server.max_metadata_bytes is ", max_metadata,
                                                   ", want 1024 to ", kMostMetadataBytes));
  }
  PENSTOCK_ASSIGN_OR_RETURN(std::shared_ptr<grpc::ServerCredentials> credentials,
                            MakeServerCredentials(config.tls()));
  PENSTOCK_ASSIGN_OR_RETURN(
      const absl::Duration grace,
      DurationField("server.drain.grace", config.drain().has_grace(), config.drain().grace(),
                    kDefaultGrace));
  PENSTOCK_ASSIGN_OR_RETURN(
      const absl::Duration timeout,
      DurationField("server.drain.timeout", config.drain().has_timeout(), config.drain().timeout(),
                    kDefaultTimeout));
  PENSTOCK_ASSIGN_OR_RETURN(
      const ConnectionLimits connections,
      ConnectionLimits::Read(config.connections(), options.max_connection_age));
  const std::string address = config.grpc().empty() ? options.default_address : config.grpc();
  if (!address.empty()) PENSTOCK_RETURN_IF_ERROR(CheckAddress(address));

  prometheus::Counter* accepted =
      MakeCounter(options, "accepted", "Calls and stream messages given to the service.");
  prometheus::Counter* answered = MakeCounter(
      options, "answered", "Calls and stream messages answered, or whose client had gone.");
  if (options.registry != nullptr) ExportBuildInfo(*options.registry, options.service);
  const int max_stream_outstanding = std::max(options.max_stream_outstanding, 1);
  auto state =
      std::make_unique<State>(std::move(options), !config.tls().certificate_file().empty());
  state->core.callers = &state->policy;
  state->core.max_stream_outstanding = max_stream_outstanding;
  state->core.accepted_total = accepted;
  state->core.answered_total = answered;
  state->address = address;
  state->grace = grace;
  state->timeout = timeout;
  state->credentials = std::move(credentials);

  state->builder = std::make_unique<grpc::ServerBuilder>();
  grpc::ServerBuilder& builder = *state->builder;
  builder.SetMaxReceiveMessageSize(static_cast<int>(max_message));
  builder.SetMaxSendMessageSize(static_cast<int>(max_message));
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, static_cast<int>(max_metadata));
  // A second server on the same port must fail, not take half of the calls.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_ENABLE_CHANNELZ, 0);
  // A few KiB of gzip inflate to more than any limit: such calls are refused.
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
  connections.Apply(builder);
  // Room for a message of the usual size without waiting for the receiver's word.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kStreamLookaheadBytes);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_FRAME_SIZE, kMaxFrameBytes);
  builder.RegisterService(&state->service);
  builder.RegisterService(&state->health);
  std::vector<std::unique_ptr<grpc::CompletionQueue>> queues;
  for (int i = 0; i < threads; ++i) queues.push_back(builder.AddCompletionQueue());
  state->queues = std::make_shared<CompletionQueues>(std::move(queues));
  state->client_queues = std::make_unique<ClientQueues>(state->queues);
  return std::unique_ptr<OipServer>(new OipServer(std::move(state)));
}

absl::Status OipServer::Start(InferHandler& handler, OipControl& control,
                              const std::vector<RpcService*>& services,
                              absl::AnyInvocable<void()> end_streams) {
  State& s = *state_;
  s.core.handler = &handler;
  s.core.control = &control;
  s.end_streams = std::move(end_streams);
  for (RpcService* service : services) s.builder->RegisterService(service);
  int port = 0;
  if (!s.address.empty()) s.builder->AddListeningPort(s.address, s.credentials, &port);
  s.server = s.builder->BuildAndStart();
  if (s.server == nullptr || (!s.address.empty() && port == 0)) {
    s.server.reset();
    return absl::UnavailableError(absl::StrCat("cannot listen on ", s.address));
  }
  if (s.address.empty()) {
    s.address = "-";
  } else if (!absl::StartsWith(s.address, "unix:")) {
    s.address = absl::StrCat(s.address.substr(0, s.address.rfind(':')), ":", port);
  }
  for (size_t lane = 0; lane < s.queues->size(); ++lane) {
    for (int i = 0; i < kArmedPerQueue; ++i) UnaryCall::Arm(s.core, s.service, *s.queues, lane);
  }
  std::vector<RpcService*> all = services;
  all.push_back(&s.service);
  all.push_back(&s.health);
  for (RpcService* service : all) service->Arm(*s.queues, s.policy);
  return absl::OkStatus();
}

void OipServer::SetServing(bool serving) {
  if (!state_->draining.load()) state_->health.SetServing(serving);
}

void OipServer::BeginDrain() {
  state_->draining.store(true);
  state_->health.SetServing(false);
}

void OipServer::Drain() {
  State& s = *state_;
  BeginDrain();
  if (s.server == nullptr || s.drained) return;
  s.drained = true;
  LogEvent(LogLevel::kInfo, "drain", s.name)
      .With("grace", absl::FormatDuration(s.grace))
      .With("timeout", absl::FormatDuration(s.timeout));
  absl::SleepFor(s.grace);
  // Streams end by themselves only when their clients wish.
  s.health.EndStreams();
  s.core.streams.EndAll();
  if (s.end_streams) s.end_streams();
  s.server->Shutdown(std::chrono::system_clock::now() + absl::ToChronoNanoseconds(s.timeout));
  // The server is shut down when its connections are closed; handlers may still hold cancelled calls.
  const absl::Time give_up = absl::Now() + kCancelledCallsTimeout;
  while (answered() < accepted() && absl::Now() < give_up) absl::SleepFor(absl::Milliseconds(1));
  // The metrics end with the process: the last word on what was taken is here.
  LogEvent(answered() < accepted() ? LogLevel::kError : LogLevel::kInfo, "drained", s.name)
      .With("accepted", accepted())
      .With("answered", answered());
}

OipServer::~OipServer() {
  state_->grace = absl::ZeroDuration();
  Drain();
  state_->queues->Shutdown();
}

const std::string& OipServer::address() const { return state_->address; }

std::shared_ptr<grpc::Channel> OipServer::InProcessChannel() {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);  // the server's own limits hold
  arguments.SetMaxSendMessageSize(-1);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_CHANNELZ, 0);
  return state_->server->InProcessChannel(arguments);
}

ClientQueues& OipServer::queues() { return *state_->client_queues; }
const CallerPolicy& OipServer::callers() const { return state_->policy; }
uint64_t OipServer::accepted() const { return state_->core.accepted.load(); }
uint64_t OipServer::answered() const { return state_->core.answered.load(); }

}  // namespace penstock
