#include <gmock/gmock.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <atomic>
#include <string>

#include "common/net/oip/oip_control_client.h"
#include "tests/common_net/net_fixture.h"
#include "tests/support/temp_dir.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

// The same calls over a socket and over an in-process channel.
class InferTest : public ::testing::TestWithParam<bool> {
 protected:
  void Serve(FunctionHandler::Function function,
             const std::function<void(OipServerOptions&)>& change = {}) {
    server_ = std::make_unique<TestServer>(std::move(function), change);
    const auto channel = GetParam() ? (*server_)->InProcessChannel() : server_->Socket();
    if (!GetParam()) {  // so that no deadline is spent on connecting
      EXPECT_TRUE(channel->WaitForConnected(absl::ToChronoTime(absl::Now() + absl::Seconds(30))));
    }
    target_ = GrpcInferTarget::Over(channel, "test", (*server_)->queues());
  }

  std::unique_ptr<TestServer> server_;
  std::shared_ptr<GrpcInferTarget> target_;
};

INSTANTIATE_TEST_SUITE_P(Channels, InferTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "InProcess" : "Socket"; });

TEST_P(InferTest, EchoesNothing) {
  Serve(&FunctionHandler::Echo);
  const InferReply reply = Infer(*target_, Bytes());
  EXPECT_TRUE(reply.status.ok()) << reply.status;
  EXPECT_EQ(reply.body.size(), 0u);
}

TEST_P(InferTest, EchoesAMebibyteInPieces) {
  Serve(&FunctionHandler::Echo);
  Bytes request(std::string(100, 'a'));  // small pieces are gathered, large ones shared
  request.Append(std::string(3, 'b'));
  request.Append(std::string(1 << 20, 'c'));
  request.Append(std::string(600, 'd'));
  const InferReply reply = Infer(*target_, request);
  EXPECT_TRUE(reply.status.ok()) << reply.status;
  EXPECT_EQ(reply.body, request);
}

TEST_P(InferTest, CarriesMetadataAndTrailersAndDropsWhatMayNotBeSent) {
  Serve([](const std::shared_ptr<IncomingCall>& call) {
    Metadata trailers = {{"x-seen", std::string(FindMetadata(call->metadata(), "penstock-tenant"))},
                         {"x-bytes-bin", std::string("\0\xFF", 2)},
                         {"Illegal Key", "v"},
                         {"x-illegal-value", "\n"},
                         {"grpc-status", "13"}};
    call->Finish(InferReply{absl::ResourceExhaustedError("spent"), {}, std::move(trailers)});
  });
  CallOptions options;
  options.metadata = {{"penstock-tenant", "acme"}, {"Illegal Key", "v"}, {"x-bad", "\x01"}};
  const InferReply reply = Infer(*target_, Bytes("x"), options);
  EXPECT_EQ(reply.status, absl::ResourceExhaustedError("spent"));
  EXPECT_EQ(FindMetadata(reply.trailers, "x-seen"), "acme");
  EXPECT_EQ(FindMetadata(reply.trailers, "x-bytes-bin"), absl::string_view("\0\xFF", 2));
  EXPECT_EQ(FindMetadata(reply.trailers, "x-illegal-value"), "");
}

TEST_P(InferTest, TheHandlerSeesTheCallersDeadline) {
  std::promise<absl::Time> seen;
  Serve([&](const std::shared_ptr<IncomingCall>& call) {
    seen.set_value(call->deadline());
    FunctionHandler::Echo(call);
  });
  CallOptions options;
  options.deadline = absl::Now() + absl::Seconds(20);
  EXPECT_TRUE(Infer(*target_, Bytes("x"), options).status.ok());
  // The wire has the time that is left, in units that gRPC rounds up.
  EXPECT_LT(absl::AbsDuration(seen.get_future().get() - options.deadline), absl::Seconds(2));
}

TEST_P(InferTest, WithoutADeadlineThereIsNone) {
  std::promise<absl::Time> seen;
  Serve([&](const std::shared_ptr<IncomingCall>& call) {
    seen.set_value(call->deadline());
    FunctionHandler::Echo(call);
  });
  EXPECT_TRUE(Infer(*target_, Bytes("x")).status.ok());
  EXPECT_EQ(seen.get_future().get(), absl::InfiniteFuture());
}

TEST_P(InferTest, ADeadlineThatPassesCancelsTheHandlersWork) {
  std::shared_ptr<IncomingCall> held;
  Notification arrived, cancelled;
  Serve([&](std::shared_ptr<IncomingCall> call) {
    held = std::move(call);
    held->SetCancelHandler([&] { cancelled.Notify(); });
    arrived.Notify();
  });
  CallOptions options;
  options.deadline = absl::Now() + absl::Milliseconds(500);
  EXPECT_EQ(Infer(*target_, Bytes("x"), options).status.code(),
            absl::StatusCode::kDeadlineExceeded);
  ASSERT_TRUE(arrived.HasBeenNotified());
  EXPECT_TRUE(cancelled.WaitWithTimeout(absl::Seconds(10)));
  held.reset();
}

TEST_P(InferTest, CancelReachesTheHandler) {
  std::shared_ptr<IncomingCall> held;
  Notification arrived, cancelled, done;
  Serve([&](std::shared_ptr<IncomingCall> call) {
    held = std::move(call);
    held->SetCancelHandler([&] { cancelled.Notify(); });
    arrived.Notify();
  });
  absl::Status status;
  auto call = target_->ModelInfer(Bytes("x"), {}, [&](InferReply reply) {
    status = reply.status;
    done.Notify();
  });
  ASSERT_TRUE(arrived.WaitWithTimeout(absl::Seconds(10)));
  call->Cancel();
  ASSERT_TRUE(done.WaitWithTimeout(absl::Seconds(10)));
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(cancelled.WaitWithTimeout(absl::Seconds(10)));
  // A handler set after the fact runs at once; here it may not, for one had been set already.
  held->Finish(InferReply{absl::OkStatus(), Bytes("late"), {}});
  held.reset();
}

TEST_P(InferTest, ADroppedCallIsAnsweredInternal) {
  Serve([](const std::shared_ptr<IncomingCall>&) {});
  EXPECT_EQ(Infer(*target_, Bytes("x")).status.code(), absl::StatusCode::kInternal);
}

TEST_P(InferTest, CancelHandlersMayHoldTheirCall) {
  std::weak_ptr<IncomingCall> watched;
  Serve([&](std::shared_ptr<IncomingCall> call) {
    watched = call;
    call->SetCancelHandler([call] { call->Finish(InferReply{absl::CancelledError(), {}, {}}); });
    FunctionHandler::Echo(call);
  });
  EXPECT_TRUE(Infer(*target_, Bytes("x")).status.ok());
  server_.reset();
  EXPECT_TRUE(watched.expired());
}

TEST_P(InferTest, MessagesOverTheLimitAreRefused) {
  Serve(&FunctionHandler::Echo, [](OipServerOptions& options) {
    options.config.set_max_message_bytes(4096);
  });
  EXPECT_TRUE(Infer(*target_, Bytes(std::string(4000, 'x'))).status.ok());
  const InferReply reply = Infer(*target_, Bytes(std::string(5000, 'x')));
  EXPECT_EQ(reply.status.code(), absl::StatusCode::kResourceExhausted) << reply.status;
  EXPECT_TRUE(reply.trailers.empty());
  // The server goes on.
  EXPECT_TRUE(Infer(*target_, Bytes("x")).status.ok());
}

TEST_P(InferTest, AnswersOverTheLimitAreRefused) {
  Serve(
      [](const std::shared_ptr<IncomingCall>& call) {
        call->Finish(InferReply{absl::OkStatus(), Bytes(std::string(5000, 'x')), {}});
      },
      [](OipServerOptions& options) { options.config.set_max_message_bytes(4096); });
  const InferReply reply = Infer(*target_, Bytes("x"));
  EXPECT_EQ(reply.status.code(), absl::StatusCode::kResourceExhausted) << reply.status;
}

TEST_P(InferTest, OnlyInProcessCallersAreTrustedByDefault) {
  Caller caller;
  Serve([&](const std::shared_ptr<IncomingCall>& call) {
    caller = call->caller();
    FunctionHandler::Echo(call);
  });
  EXPECT_TRUE(Infer(*target_, Bytes("x")).status.ok());
  EXPECT_EQ(caller.trusted, GetParam()) << caller.peer;
  EXPECT_EQ(caller.certificate_name, "");
}

TEST_P(InferTest, ManyCallsAtOnceAreAllAnsweredAndCounted) {
  auto registry = std::make_shared<prometheus::Registry>();
  Serve(&FunctionHandler::Echo,
        [&](OipServerOptions& options) { options.registry = registry; });
  constexpr int kCalls = 2000;  // more than are armed
  std::atomic<int> left{kCalls}, good{0};
  Notification all;
  for (int i = 0; i < kCalls; ++i) {
    target_->ModelInfer(Bytes(std::string(1024, 'x')), {}, [&](InferReply reply) {
      if (reply.status.ok() && reply.body.size() == 1024) good.fetch_add(1);
      if (left.fetch_sub(1) == 1) all.Notify();
    });
  }
  ASSERT_TRUE(all.WaitWithTimeout(absl::Seconds(60)));
  EXPECT_EQ(good.load(), kCalls);
  target_.reset();
  (*server_)->Drain();
  EXPECT_EQ((*server_)->accepted(), static_cast<uint64_t>(kCalls));
  EXPECT_EQ((*server_)->answered(), static_cast<uint64_t>(kCalls));
  const std::string text = prometheus::TextSerializer().Serialize(registry->Collect());
  EXPECT_THAT(text, HasSubstr("penstock_test_accepted_total 2000"));
  EXPECT_THAT(text, HasSubstr("penstock_test_answered_total 2000"));
}

TEST(InferTargetTest, CallsOfADeadQueueAreAnsweredUnavailable) {
  TestServer server(&FunctionHandler::Echo);
  std::shared_ptr<GrpcInferTarget> target;
  {
    ClientQueues queues(1);
    target = GrpcInferTarget::Over(server.Socket(), "test", queues);
    EXPECT_TRUE(Infer(*target, Bytes("x")).status.ok());
  }
  EXPECT_EQ(Infer(*target, Bytes("x")).status.code(), absl::StatusCode::kUnavailable);
}

TEST(InferTargetTest, DestroyingTheQueuesCancelsWhatIsUnderWay) {
  std::shared_ptr<IncomingCall> held;
  Notification arrived;
  TestServer server([&](std::shared_ptr<IncomingCall> call) {
    held = std::move(call);
    arrived.Notify();
  });
  absl::Status status;
  auto queues = std::make_unique<ClientQueues>(1);
  auto target = GrpcInferTarget::Over(server.Socket(), "test", *queues);
  target->ModelInfer(Bytes("x"), {}, [&](InferReply reply) { status = reply.status; });
  ASSERT_TRUE(arrived.WaitWithTimeout(absl::Seconds(10)));
  queues.reset();
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  held.reset();
}

TEST(InferTargetTest, UnreachableIsUnhealthyUntilTheServerAppears) {
  // A port that is free: a server that was there.
  std::string address;
  { address = TestServer(&FunctionHandler::Echo)->address(); }
  ClientQueues queues(1);
  config::v1::Endpoint endpoint;
  endpoint.set_address(address);
  Mutex mutex;
  CondVar changed;
  int changes = 0;
  InferTargetOptions options;
  options.on_health = [&](bool) {
    MutexLock lock(mutex);
    ++changes;
    changed.NotifyAll();
  };
  auto target = GrpcInferTarget::Create(endpoint, queues, std::move(options));
  ASSERT_TRUE(target.ok()) << target.status();
  EXPECT_FALSE((*target)->healthy());
  EXPECT_EQ(Infer(**target, Bytes("x")).status.code(), absl::StatusCode::kUnavailable);
  const auto await = [&](int count) {
    MutexLock lock(mutex);
    while (changes < count) {
      if (!changed.WaitFor(mutex, absl::Seconds(20))) return false;
    }
    return true;
  };
  auto server = std::make_unique<TestServer>(
      &FunctionHandler::Echo, [&](OipServerOptions& o) { o.config.set_grpc(address); });
  ASSERT_TRUE(await(1));
  EXPECT_TRUE((*target)->healthy());
  EXPECT_TRUE(Infer(**target, Bytes("x")).status.ok());
  (*server)->BeginDrain();
  ASSERT_TRUE(await(2));
  EXPECT_FALSE((*target)->healthy());
  server.reset();
  server = std::make_unique<TestServer>(
      &FunctionHandler::Echo, [&](OipServerOptions& o) { o.config.set_grpc(address); });
  ASSERT_TRUE(await(3));
  EXPECT_TRUE((*target)->healthy());
}

// A server of somebody else: ModelInfer, and no health service.
TEST(InferTargetTest, AServerWithoutHealthServiceIsHealthyWhileItAnswers) {
  inference::GRPCInferenceService::Service service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  auto server = builder.BuildAndStart();
  ClientQueues queues(1);
  config::v1::Endpoint endpoint;
  endpoint.set_address("127.0.0.1:" + std::to_string(port));
  Notification healthy, unhealthy;
  InferTargetOptions options;
  options.on_health = [&](bool up) { (up ? healthy : unhealthy).Notify(); };
  auto target = GrpcInferTarget::Create(endpoint, queues, std::move(options));
  ASSERT_TRUE(target.ok());
  EXPECT_TRUE(healthy.WaitWithTimeout(absl::Seconds(10)));
  server->Shutdown();
  EXPECT_TRUE(unhealthy.WaitWithTimeout(absl::Seconds(10)));
}

TEST(InferTargetTest, UnixSocketsWorkAndAreNotTrustedForIt) {
  const std::string address = "unix:" + ProcessTempDir() + "penstock_net_test.sock";
  std::atomic<bool> trusted{true};
  TestServer server(
      [&](const std::shared_ptr<IncomingCall>& call) {
        trusted = call->caller().trusted;
        FunctionHandler::Echo(call);
      },
      [&](OipServerOptions& options) { options.config.set_grpc(address); });
  EXPECT_EQ(server->address(), address);
  config::v1::Endpoint endpoint;
  endpoint.set_address(address);
  auto target = GrpcInferTarget::Create(endpoint, server->queues());
  ASSERT_TRUE(target.ok());
  EXPECT_EQ(Infer(**target, Bytes("x")).body, Bytes("x"));
  EXPECT_FALSE(trusted.load());
}

TEST(InferTargetTest, EndpointsThatCannotWorkAreRefused) {
  ClientQueues queues(1);
  config::v1::Endpoint endpoint;
  EXPECT_EQ(GrpcInferTarget::Create(endpoint, queues).status().code(),
            absl::StatusCode::kInvalidArgument);
  endpoint.set_address("inprocess:router");
  EXPECT_EQ(GrpcInferTarget::Create(endpoint, queues).status().code(),
            absl::StatusCode::kInvalidArgument);
  endpoint.set_address("localhost:1");
  endpoint.set_ca_file("/nonexistent/ca.pem");
  EXPECT_THAT(GrpcInferTarget::Create(endpoint, queues).status().message(),
              HasSubstr("ca_file: cannot read /nonexistent/ca.pem"));
}

template <typename Response, typename Start>
absl::StatusOr<Response> Await(Start start) {
  auto reply = std::make_shared<std::promise<absl::StatusOr<Response>>>();
  auto future = reply->get_future();
  start([reply](absl::StatusOr<Response> r) { reply->set_value(std::move(r)); });
  return future.get();
}

TEST(OipControlTest, EveryRpcReachesTheControl) {
  TestServer server(&FunctionHandler::Echo);
  ClientQueues queues(1);
  OipControlClient client(RpcClient(server.Socket(), queues));
  const auto live = Await<inference::ServerLiveResponse>(
      [&](auto done) { client.ServerLive({}, std::move(done)); });
  EXPECT_TRUE(live.ok() && live->live()) << live.status();
  const auto ready = Await<inference::ServerReadyResponse>(
      [&](auto done) { client.ServerReady({}, std::move(done)); });
  EXPECT_TRUE(ready.ok() && ready->ready()) << ready.status();
  inference::ModelMetadataRequest metadata_request;
  metadata_request.set_name("m");
  const auto metadata = Await<inference::ModelMetadataResponse>(
      [&](auto done) { client.ModelMetadata(metadata_request, {}, std::move(done)); });
  EXPECT_TRUE(metadata.ok() && metadata->name() == "m") << metadata.status();
  inference::ModelConfigRequest config_request;
  config_request.set_name("m");
  const auto config = Await<inference::ModelConfigResponse>(
      [&](auto done) { client.ModelConfig(config_request, {}, std::move(done)); });
  EXPECT_TRUE(config.ok() && config->config().name() == "m") << config.status();
  const auto statistics = Await<inference::ModelStatisticsResponse>(
      [&](auto done) { client.ModelStatistics({}, {}, std::move(done)); });
  EXPECT_TRUE(statistics.ok() && statistics->model_stats_size() == 1) << statistics.status();
  const auto index = Await<inference::RepositoryIndexResponse>(
      [&](auto done) { client.RepositoryIndex({}, {}, std::move(done)); });
  EXPECT_TRUE(index.ok() && index->models_size() == 1) << index.status();
}

TEST(OipControlTest, ContextHasMetadataAndCaller) {
  TestServer server(&FunctionHandler::Echo,
                    [](OipServerOptions& options) { options.trust_plaintext = true; });
  ClientQueues queues(1);
  OipControlClient client(RpcClient(server.Socket(), queues));
  CallOptions options;
  options.metadata = {{"x-key", "value"}};
  const auto metadata = Await<inference::ServerMetadataResponse>(
      [&](auto done) { client.ServerMetadata(options, std::move(done)); });
  ASSERT_TRUE(metadata.ok()) << metadata.status();
  EXPECT_EQ(metadata->version(), "trusted");
  EXPECT_THAT(metadata->extensions(), ::testing::Contains("x-key=value"));
}

TEST(OipControlTest, ErrorsDropsAndDeadlinesAreAnswered) {
  TestServer server(&FunctionHandler::Echo);
  ClientQueues queues(1);
  OipControlClient client(RpcClient(server.Socket(), queues));
  const auto model_ready = [&](const char* model, CallOptions options = {}) {
    inference::ModelReadyRequest request;
    request.set_name(model);
    return Await<inference::ModelReadyResponse>([&](auto done) {
             client.ModelReady(request, options, std::move(done));
           }).status();
  };
  EXPECT_EQ(model_ready("broken"), absl::NotFoundError("no model broken"));
  EXPECT_EQ(model_ready("dropped").code(), absl::StatusCode::kInternal);
  EXPECT_EQ(model_ready("never", CallOptions{absl::Now() + absl::Milliseconds(50), {}}).code(),
            absl::StatusCode::kDeadlineExceeded);
}

}  // namespace
}  // namespace penstock
