#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "common/net/grpc_bytes.h"
#include "common/net/rpc/rpc_service.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "tests/common_net/net_fixture.h"
#include "xds/service/orca/v3/orca.grpc.pb.h"

namespace penstock {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using ::testing::HasSubstr;

constexpr char kService[] = "inference.GRPCInferenceService";

std::chrono::system_clock::time_point Soon() {
  return std::chrono::system_clock::now() + std::chrono::seconds(30);
}

class HealthTest : public ::testing::Test {
 protected:
  HealthTest() : stub_(Health::NewStub(server_.Socket())) {}

  grpc::Status Check(const std::string& service, HealthCheckResponse& response) {
    grpc::ClientContext context;
    context.set_deadline(Soon());
    HealthCheckRequest request;
    request.set_service(service);
    return stub_->Check(&context, request, &response);
  }

  TestServer server_{&FunctionHandler::Echo};
  std::unique_ptr<Health::Stub> stub_;
};

TEST_F(HealthTest, CheckFollowsServing) {
  HealthCheckResponse response;
  for (const char* service : {"", kService}) {
    server_->SetServing(true);
    EXPECT_TRUE(Check(service, response).ok());
    EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
    server_->SetServing(false);
    EXPECT_TRUE(Check(service, response).ok());
    EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
  }
  EXPECT_EQ(Check("nobody", response).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(HealthTest, TheProcessIsLiveBeforeItServesAndWhileItDrains) {
  HealthCheckResponse response;
  server_->SetServing(false);
  EXPECT_TRUE(Check("live", response).ok());
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  server_->BeginDrain();
  EXPECT_TRUE(Check("live", response).ok());
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  EXPECT_TRUE(Check("", response).ok());
  EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
}

TEST_F(HealthTest, ListAndWatchKnowThatTheProcessIsLive) {
  server_->SetServing(false);
  grpc::ClientContext list_context;
  list_context.set_deadline(Soon());
  grpc::health::v1::HealthListResponse list;
  ASSERT_TRUE(stub_->List(&list_context, {}, &list).ok());
  EXPECT_EQ(list.statuses().at("live").status(), HealthCheckResponse::SERVING);
  EXPECT_EQ(list.statuses().at("").status(), HealthCheckResponse::NOT_SERVING);
  grpc::ClientContext context;
  context.set_deadline(Soon());
  HealthCheckRequest request;
  request.set_service("live");
  const auto watch = stub_->Watch(&context, request);
  HealthCheckResponse response;
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  server_->Drain();
  EXPECT_FALSE(watch->Read(&response));
  EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(HealthTest, WatchHearsOfTheDrainAndEnds) {
  grpc::ClientContext context;
  context.set_deadline(Soon());
  auto watch = stub_->Watch(&context, HealthCheckRequest());
  HealthCheckResponse response;
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  server_->BeginDrain();
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
  server_->SetServing(true);  // comes too late
  const absl::Time start = absl::Now();
  server_->Drain();
  EXPECT_LT(absl::Now() - start, absl::Seconds(5));  // not drain.timeout, 10 s
  EXPECT_FALSE(watch->Read(&response));
  EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(HealthTest, WatchOfAnUnknownServiceStaysOpen) {
  grpc::ClientContext context;
  context.set_deadline(Soon());
  HealthCheckRequest request;
  request.set_service("nobody");
  auto watch = stub_->Watch(&context, request);
  HealthCheckResponse response;
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVICE_UNKNOWN);
  context.TryCancel();
  EXPECT_FALSE(watch->Read(&response));
  EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST(DrainTest, CallsAreTakenWhileTheHealthSaysNo) {
  TestServer server(&FunctionHandler::Echo);
  auto target = GrpcInferTarget::Over(server.Socket(), "test", server->queues());
  server->BeginDrain();
  EXPECT_TRUE(Infer(*target, Bytes("x")).status.ok());
  server->Drain();
  EXPECT_EQ(Infer(*target, Bytes("x")).status.code(), absl::StatusCode::kUnavailable);
}

TEST(DrainTest, UnderLoadEveryAcceptedCallIsAnswered) {
  // Answers come from other threads, some time later.
  Mutex mutex;
  CondVar changed;
  std::vector<std::shared_ptr<IncomingCall>> calls;
  bool stop = false;
  std::vector<std::thread> workers;
  const auto work = [&] {
    for (;;) {
      std::shared_ptr<IncomingCall> call;
      {
        MutexLock lock(mutex);
        while (calls.empty() && !stop) changed.Wait(mutex);
        if (calls.empty()) return;
        call = std::move(calls.back());
        calls.pop_back();
      }
      FunctionHandler::Echo(call);
    }
  };
  for (int i = 0; i < 2; ++i) workers.emplace_back(work);
  std::atomic<int> ok{0}, unavailable{0}, cancelled{0}, other{0}, outstanding{0};
  {
    TestServer server([&](std::shared_ptr<IncomingCall> call) {
      MutexLock lock(mutex);
      calls.push_back(std::move(call));
      changed.NotifyOne();
    });
    ClientQueues client_queues(1);
    auto target = GrpcInferTarget::Over(server.Socket(), "test", client_queues);
    std::atomic<bool> sending{true};
    Notification loaded;
    std::function<void()> send = [&] {
      outstanding.fetch_add(1);
      target->ModelInfer(Bytes(std::string(1024, 'x')), {}, [&](InferReply reply) {
        switch (reply.status.code()) {
          case absl::StatusCode::kOk:
            if (ok.fetch_add(1) == 200) loaded.Notify();
            break;
          case absl::StatusCode::kUnavailable: unavailable.fetch_add(1); break;
          case absl::StatusCode::kCancelled: cancelled.fetch_add(1); break;
          default: other.fetch_add(1);
        }
        if (sending.load() && reply.status.ok()) send();
        outstanding.fetch_sub(1);
      });
    };
    for (int i = 0; i < 64; ++i) send();
    ASSERT_TRUE(loaded.WaitWithTimeout(absl::Seconds(30)));
    server->Drain();
    sending = false;
    EXPECT_EQ(server->accepted(), server->answered());
    // What the handler took was answered OK; the rest never reached it.
    while (outstanding.load() > 0) std::this_thread::yield();
    EXPECT_EQ(static_cast<uint64_t>(ok.load()), server->accepted());
    EXPECT_EQ(other.load(), 0);
  }
  {
    MutexLock lock(mutex);
    stop = true;
    changed.NotifyAll();
  }
  for (std::thread& worker : workers) worker.join();
}

TEST(DrainTest, CallsThatOutlastTheTimeOutAreCancelled) {
  Mutex mutex;
  std::shared_ptr<IncomingCall> held;
  Notification arrived;
  TestServer server(
      [&](std::shared_ptr<IncomingCall> call) {
        call->SetCancelHandler([&] {
          std::shared_ptr<IncomingCall> call;
          {
            MutexLock lock(mutex);
            call.swap(held);
          }
          call->Finish(InferReply{absl::CancelledError("given up"), {}, {}});
        });
        MutexLock lock(mutex);
        held = std::move(call);
        arrived.Notify();
      },
      [](OipServerOptions& options) {
        options.config.mutable_drain()->mutable_timeout()->set_seconds(0);
      });
  ClientQueues queues(1);
  auto target = GrpcInferTarget::Over(server.Socket(), "test", queues);
  Notification done;
  absl::Status status;
  target->ModelInfer(Bytes("x"), {}, [&](InferReply reply) {
    status = reply.status;
    done.Notify();
  });
  ASSERT_TRUE(arrived.WaitWithTimeout(absl::Seconds(10)));
  server->Drain();
  ASSERT_TRUE(done.WaitWithTimeout(absl::Seconds(10)));
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(server->answered(), 1u);
}

TEST(ServerTest, RpcsThatNobodyImplementsAnswerUnimplemented) {
  TestServer server(&FunctionHandler::Echo);
  auto stub = inference::GRPCInferenceService::NewStub(server.Socket());
  {
    grpc::ClientContext context;
    inference::TraceSettingResponse response;
    EXPECT_EQ(stub->TraceSetting(&context, {}, &response).error_code(),
              grpc::StatusCode::UNIMPLEMENTED);
  }
  grpc::ClientContext context;
  inference::RepositoryModelLoadResponse response;
  EXPECT_EQ(stub->RepositoryModelLoad(&context, {}, &response).error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
}

TEST(ServerTest, ReflectionListsTheServices) {
  TestServer server(&FunctionHandler::Echo);
  // The system ships no header of the reflection service: the request is written by hand. One message
  // each way over its stream looks like a unary call.
  const grpc::Slice list_services("\x3A\x00", 2);  // ServerReflectionRequest.list_services = ""
  const grpc::ByteBuffer request(&list_services, 1);
  grpc::ByteBuffer response;
  grpc::ClientContext context;
  context.set_deadline(Soon());
  std::promise<grpc::Status> done;
  grpc::GenericStub(server.Socket())
      .UnaryCall(&context, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", {},
                 &request, &response,
                 [&](grpc::Status status) { done.set_value(std::move(status)); });
  const grpc::Status status = done.get_future().get();
  ASSERT_TRUE(status.ok()) << status.error_message();
  const std::string text = FromByteBuffer(response).ToString();
  EXPECT_THAT(text, HasSubstr(kService));
  EXPECT_THAT(text, HasSubstr("grpc.health.v1.Health"));
}

TEST(ServerTest, TakesServicesOfTheOwner) {
  class Pushed final : public RpcService {
   public:
    Pushed() {
      using Request = xds::service::orca::v3::OrcaLoadReportRequest;
      AddServerStream<Request>(
          "/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics",
          [](std::unique_ptr<RpcArrival> arrival, const Request&) {
            RefusedRpc::Open(std::move(arrival), grpc::Status(grpc::StatusCode::DATA_LOSS, "mine"));
          });
    }
  };
  Pushed service;
  bool ended = false;
  OipServerOptions options;
  options.service = "test";
  options.config.mutable_drain()->mutable_grace();
  auto server = OipServer::Create(options);
  ASSERT_TRUE(server.ok());
  FunctionHandler handler(&FunctionHandler::Echo);
  TestControl control;
  ASSERT_TRUE((*server)->Start(handler, control, {&service}, [&] { ended = true; }).ok());
  auto stub = xds::service::orca::v3::OpenRcaService::NewStub((*server)->InProcessChannel());
  grpc::ClientContext context;
  auto stream = stub->StreamCoreMetrics(&context, {});
  xds::data::orca::v3::OrcaLoadReport report;
  EXPECT_FALSE(stream->Read(&report));
  EXPECT_EQ(stream->Finish().error_message(), "mine");
  EXPECT_FALSE(ended);
  (*server)->Drain();
  EXPECT_TRUE(ended);
}

TEST(ServerTest, CompressedCallsAreRefused) {
  TestServer server(&FunctionHandler::Echo);
  auto stub = inference::GRPCInferenceService::NewStub(server.Socket());
  grpc::ClientContext context;
  context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  inference::ModelInferRequest request;
  request.add_raw_input_contents(std::string(100000, 'x'));
  inference::ModelInferResponse response;
  EXPECT_EQ(stub->ModelInfer(&context, request, &response).error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
}

TEST(ServerTest, ASecondServerOnThePortFails) {
  TestServer first(&FunctionHandler::Echo);
  OipServerOptions options;
  options.service = "test";
  options.default_address = first->address();
  auto second = OipServer::Create(options);
  ASSERT_TRUE(second.ok());
  FunctionHandler handler(&FunctionHandler::Echo);
  TestControl control;
  const absl::Status status = (*second)->Start(handler, control);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(status.message(), HasSubstr(first->address()));
}

TEST(ServerTest, WithoutAnAddressOnlyInProcessChannelsReachIt) {
  TestServer server(&FunctionHandler::Echo,
                    [](OipServerOptions& options) { options.default_address = ""; });
  EXPECT_EQ(server->address(), "-");
  auto target =
      GrpcInferTarget::Over(server->InProcessChannel(), "inprocess:test", server->queues());
  EXPECT_EQ(Infer(*target, Bytes("x")).body, Bytes("x"));
}

TEST(ServerTest, AServerThatNeverStartedGoesQuietly) {
  OipServerOptions options;
  options.service = "test";
  EXPECT_TRUE(OipServer::Create(options).ok());
}

TEST(ServerTest, WrongConfigurationsNameTheField) {
  const auto message = [](const std::function<void(config::v1::Server&)>& change) {
    OipServerOptions options;
    options.service = "test";
    change(options.config);
    const auto server = OipServer::Create(options);
    EXPECT_EQ(server.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(server.status().message());
  };
  EXPECT_THAT(message([](auto& c) { c.set_threads(0); }), HasSubstr("server.threads is 0"));
  EXPECT_THAT(message([](auto& c) { c.set_max_message_bytes(1); }),
              HasSubstr("server.max_message_bytes is 1"));
  EXPECT_THAT(message([](auto& c) { c.set_max_message_bytes(1ull << 31); }),
              HasSubstr("server.max_message_bytes is 2147483648"));
  EXPECT_THAT(message([](auto& c) { c.set_grpc("localhost"); }), HasSubstr("want HOST:PORT"));
  EXPECT_THAT(message([](auto& c) { c.set_grpc("localhost:99999"); }), HasSubstr("want HOST:PORT"));
  EXPECT_THAT(message([](auto& c) { c.mutable_drain()->mutable_grace()->set_seconds(-1); }),
              HasSubstr("server.drain.grace"));
  EXPECT_THAT(message([](auto& c) { c.mutable_tls()->set_certificate_file("/nonexistent"); }),
              HasSubstr("tls.certificate_file: cannot read /nonexistent"));
  EXPECT_THAT(message([](auto& c) { c.mutable_tls()->set_client_ca_file("ca.pem"); }),
              HasSubstr("tls.client_ca_file"));
}

}  // namespace
}  // namespace penstock
