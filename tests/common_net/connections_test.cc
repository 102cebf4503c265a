// How connections end, and what notices that they have.

#include <gmock/gmock.h>

#include <atomic>
#include <future>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/net/connection_limits.h"
#include "google/protobuf/text_format.h"
#include "tests/common_net/net_fixture.h"
#include "tests/support/tcp_proxy.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr absl::Duration kPatience = absl::Seconds(30);

// Answers all but calls of "held", which it keeps, and of "refused".
class Holder {
 public:
  void operator()(std::shared_ptr<IncomingCall> call) {
    if (call->request() == Bytes("refused")) {
      return call->Finish(InferReply{absl::UnavailableError("it is not there"), {}, {}});
    }
    if (!(call->request() == Bytes("held"))) return FunctionHandler::Echo(call);
    call->SetCancelHandler([this] {
      cancelled.Notify();
      Release();
    });
    MutexLock lock(mutex_);
    held_ = std::move(call);
    held.Notify();
  }
  void Release() {
    std::shared_ptr<IncomingCall> call;
    {
      MutexLock lock(mutex_);
      call.swap(held_);
    }
    if (call != nullptr) FunctionHandler::Echo(call);
  }

  Notification held, cancelled;

 private:
  Mutex mutex_;
  std::shared_ptr<IncomingCall> held_ ABSL_GUARDED_BY(mutex_);
};

// A server behind a network, and a target that reaches it through that.
class ConnectionsTest : public ::testing::Test {
 protected:
  void Serve(const std::string& connections) {
    server_ = std::make_unique<TestServer>(
        [this](std::shared_ptr<IncomingCall> call) { holder_(std::move(call)); },
        [&](OipServerOptions& options) {
          ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(
              connections, options.config.mutable_connections()));
        });
    proxy_ = std::make_unique<TcpProxy>((*server_)->address());
  }
  InferTargetOptions Options() {
    InferTargetOptions options;
    options.on_health = [this](bool healthy) {
      MutexLock lock(mutex_);
      ++(healthy ? ups_ : downs_);
      changed_.NotifyAll();
    };
    return options;
  }
  void Connect(const std::string& endpoint = "") {
    config::v1::Endpoint to;
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(endpoint, &to));
    to.set_address(proxy_->address());
    auto target = GrpcInferTarget::Create(to, queues_, Options());
    ASSERT_TRUE(target.ok()) << target.status();
    target_ = *std::move(target);
    ASSERT_TRUE(Await(ups_, 1));
  }
  bool Await(const int& count, int wanted, absl::Duration patience = kPatience) {
    const absl::Time until = absl::Now() + patience;
    MutexLock lock(mutex_);
    while (count < wanted && absl::Now() < until) changed_.WaitFor(mutex_, until - absl::Now());
    return count >= wanted;
  }
  // A call that the server keeps.
  std::future<InferReply> Hold() {
    auto reply = std::make_shared<std::promise<InferReply>>();
    target_->ModelInfer(Bytes("held"), {},
                        [reply](InferReply r) { reply->set_value(std::move(r)); });
    EXPECT_TRUE(holder_.held.WaitWithTimeout(kPatience));
    return reply->get_future();
  }
  // Requests one after the other until it is so; those that failed.
  std::vector<InferReply> FailedUntil(const std::function<bool()>& is_so) {
    const absl::Time until = absl::Now() + kPatience;
    std::vector<InferReply> failed;
    while (!is_so() && absl::Now() < until) {
      InferReply reply = Infer(*target_, Bytes("x"));
      if (!reply.status.ok()) failed.push_back(std::move(reply));
    }
    EXPECT_TRUE(is_so());
    return failed;
  }

  static std::vector<std::string> Texts(const std::vector<InferReply>& replies) {
    std::vector<std::string> texts;
    for (const InferReply& reply : replies) texts.push_back(reply.status.ToString());
    return texts;
  }

  Holder holder_;
  std::unique_ptr<TestServer> server_;
  std::unique_ptr<TcpProxy> proxy_;
  ClientQueues queues_{1};
  Mutex mutex_;
  CondVar changed_;
  int ups_ = 0, downs_ = 0;
  std::shared_ptr<GrpcInferTarget> target_;
};

TEST_F(ConnectionsTest, AConnectionGoesAwayWithItsAgeAndWhatIsUnderWayEndsWell) {
  Serve("max_age {nanos: 200000000} max_age_grace {seconds: 60}");
  Connect();
  std::future<InferReply> held = Hold();
  EXPECT_THAT(Texts(FailedUntil([&] { return proxy_->goaways() >= 3; })), IsEmpty());
  EXPECT_GE(proxy_->taken(), 3);
  holder_.Release();
  ASSERT_EQ(held.wait_for(std::chrono::seconds(30)), std::future_status::ready);
  EXPECT_TRUE(held.get().status.ok());
  EXPECT_EQ(downs_, 0);
}

TEST_F(ConnectionsTest, ThatAWatchEndsWithItsConnectionMakesNobodyUnhealthy) {
  Serve("max_age {nanos: 300000000} max_age_grace {nanos: 100000000}");
  Connect();
  // A request that was sent as the grace ended, before the client had heard of the age, may be
  // lost; whoever asked is told that the server need not have seen it.
  for (const InferReply& lost : FailedUntil([&] { return proxy_->closed() >= 3; })) {
    EXPECT_EQ(lost.status.code(), absl::StatusCode::kUnavailable) << lost.status;
    EXPECT_TRUE(lost.connection_lost) << lost.status;
  }
  EXPECT_EQ(downs_, 0);
  EXPECT_TRUE(target_->healthy());
}

// Calls that were given to a connection before it heard that it is to go away, and that it has not
// sent, go by the next one. Without a proxy: one that closes both its ends at once takes the word
// that the server has not seen a call with it.
TEST(ConnectionAgeTest, WhatAConnectionDidNotSendAsItWentAwayIsNotLost) {
  constexpr int kCallers = 8;
  constexpr size_t kConnections = 200;
  // gRPC's server closes a connection once it has answered all: what is just coming in then is
  // reset, and whoever sent it learns no more than that. Of 10,000 connections of this test, 4.
  constexpr size_t kMostReset = 3;
  Mutex mutex;
  std::set<std::string> peers;  // one a connection
  TestServer server(
      [&](const std::shared_ptr<IncomingCall>& call) {
        {
          MutexLock lock(mutex);
          peers.insert(call->caller().peer);
        }
        FunctionHandler::Echo(call);
      },
      [](OipServerOptions& options) {
        config::v1::Connections& connections = *options.config.mutable_connections();
        connections.mutable_max_age()->set_nanos(10'000'000);
        connections.mutable_max_age_grace()->set_seconds(60);
      });
  ClientQueues queues(1);
  config::v1::Endpoint to;
  to.set_address(server->address());
  auto target = GrpcInferTarget::Create(to, queues);
  ASSERT_TRUE(target.ok()) << target.status();
  const auto seen = [&] {
    MutexLock lock(mutex);
    return peers.size();
  };
  // Larger than what gRPC keeps for a second attempt by itself.
  const Bytes large(std::string(300 << 10, 'x'));
  const absl::Time until = absl::Now() + kPatience;
  std::vector<std::future<std::vector<InferReply>>> callers;
  for (int i = 0; i < kCallers; ++i) {
    callers.push_back(std::async(std::launch::async, [&, i] {
      std::vector<InferReply> failed;
      while (seen() < kConnections && absl::Now() < until) {
        InferReply reply = Infer(**target, i == 0 ? large : Bytes("x"));
        if (!reply.status.ok()) failed.push_back(std::move(reply));
      }
      return failed;
    }));
  }
  size_t reset = 0;
  for (auto& caller : callers) {
    for (const InferReply& failed : caller.get()) {
      EXPECT_THAT(failed.status.ToString(), Not(HasSubstr("GOAWAY")));
      EXPECT_TRUE(failed.connection_lost) << failed.status;
      ++reset;
    }
  }
  EXPECT_LE(reset, kMostReset);
  EXPECT_GE(seen(), kConnections);
}

TEST_F(ConnectionsTest, CallsThatOutlastTheGraceAreCut) {
  Serve("max_age {nanos: 100000000} max_age_grace {nanos: 100000000}");
  Connect();
  std::future<InferReply> held = Hold();
  ASSERT_EQ(held.wait_for(std::chrono::seconds(30)), std::future_status::ready);
  const InferReply cut = held.get();
  EXPECT_EQ(cut.status.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(cut.connection_lost) << cut.status;
  EXPECT_TRUE(holder_.cancelled.WaitWithTimeout(kPatience));
}

TEST_F(ConnectionsTest, AnIdleConnectionGoesAwayAndTheNextCallHasAnother) {
  Serve("max_idle {nanos: 100000000}");
  target_ = nullptr;
  const auto channel = grpc::CreateChannel(proxy_->address(), grpc::InsecureChannelCredentials());
  auto stub = inference::GRPCInferenceService::NewStub(channel);
  for (int turn = 1; turn <= 2; ++turn) {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    inference::ServerReadyResponse response;
    ASSERT_TRUE(stub->ServerReady(&context, inference::ServerReadyRequest(), &response).ok());
    // The channel goes idle with its connection.
    ASSERT_TRUE(channel->WaitForStateChange(GRPC_CHANNEL_READY,
                                            absl::ToChronoTime(absl::Now() + kPatience)));
    EXPECT_EQ(proxy_->taken(), turn);
    EXPECT_EQ(proxy_->goaways(), turn);
  }
}

TEST_F(ConnectionsTest, ChannelsInTheProcessHaveNeitherAgeNorIdleness) {
  Serve("max_age {nanos: 1000000} max_age_grace {nanos: 1000000} max_idle {nanos: 1000000}");
  auto inside = GrpcInferTarget::Over((*server_)->InProcessChannel(), "inside", queues_, Options());
  ASSERT_TRUE(Await(ups_, 1));
  const auto channel = grpc::CreateChannel(proxy_->address(), grpc::InsecureChannelCredentials());
  channel->GetState(/*try_to_connect=*/true);
  while (proxy_->goaways() < 3 && channel->GetState(true) != GRPC_CHANNEL_SHUTDOWN) {
    ASSERT_TRUE(Infer(*inside, Bytes("x")).status.ok());
  }
  EXPECT_EQ(downs_, 0);
}

TEST_F(ConnectionsTest, APeerThatFallsSilentIsFoundWithAndWithoutRequests) {
  Serve("");
  Connect("keepalive_time {seconds: 1} keepalive_timeout {nanos: 300000000}");
  std::future<InferReply> held = Hold();
  const absl::Time silent = absl::Now();
  proxy_->FallSilent();
  // A second, the time-out, and what a busy machine takes to say so.
  constexpr absl::Duration kFound = absl::Seconds(5);
  ASSERT_EQ(held.wait_for(absl::ToChronoSeconds(kFound)), std::future_status::ready);
  const InferReply cut = held.get();
  EXPECT_EQ(cut.status.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(cut.connection_lost) << cut.status;
  EXPECT_GE(absl::Now() - silent, absl::Milliseconds(300));
  EXPECT_TRUE(Await(downs_, 1, kFound));
  proxy_->Resume();
  ASSERT_TRUE(Await(ups_, 2));
  EXPECT_TRUE(Infer(*target_, Bytes("x")).status.ok());
  // Without a request: the health watch is all that is open.
  proxy_->FallSilent();
  EXPECT_TRUE(Await(downs_, 2, kFound));
  proxy_->Resume();
  EXPECT_TRUE(Await(ups_, 3));
}

TEST_F(ConnectionsTest, TheCallsOfAClientThatFallsSilentAreCancelled) {
  Serve("keepalive_time {seconds: 1} keepalive_timeout {nanos: 300000000}");
  Connect("keepalive_time {seconds: 3600}");
  std::future<InferReply> held = Hold();
  proxy_->FallSilent();
  EXPECT_TRUE(holder_.cancelled.WaitWithTimeout(absl::Seconds(5)));
  proxy_->Resume();
  ASSERT_EQ(held.wait_for(std::chrono::seconds(30)), std::future_status::ready);
  const InferReply cut = held.get();
  EXPECT_EQ(cut.status.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(cut.connection_lost) << cut.status;
}

TEST_F(ConnectionsTest, WhetherServerOrConnectionEndedACallIsTold) {
  Serve("");
  Connect();
  const InferReply refused = Infer(*target_, Bytes("refused"));
  EXPECT_EQ(refused.status, absl::UnavailableError("it is not there"));
  EXPECT_FALSE(refused.connection_lost);
  EXPECT_FALSE(Infer(*target_, Bytes("x")).connection_lost);
  std::future<InferReply> held = Hold();
  proxy_ = nullptr;
  ASSERT_EQ(held.wait_for(std::chrono::seconds(30)), std::future_status::ready);
  const InferReply cut = held.get();
  EXPECT_EQ(cut.status.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(cut.connection_lost) << cut.status;
  const InferReply nobody = Infer(*target_, Bytes("x"));
  EXPECT_EQ(nobody.status.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(nobody.connection_lost) << nobody.status;
}

// Why servers that are not known to bear pings are pinged so seldom.
TEST_F(ConnectionsTest, AServerThatPermitsNoPingsSendsAwayWhoPingsIt) {
  Serve("min_ping_interval {seconds: 86400}");
  Connect("keepalive_time {seconds: 1}");
  // Without a request.
  const absl::Time until = absl::Now() + kPatience;
  MutexLock lock(mutex_);
  while (proxy_->goaways() == 0 && absl::Now() < until) {
    changed_.WaitFor(mutex_, absl::Milliseconds(10));
  }
  EXPECT_GT(proxy_->goaways(), 0);
}

TEST(ConnectionLimitsTest, SayWhichFieldIsWrong) {
  const auto message = [](const std::string& connections) {
    config::v1::Connections config;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(connections, &config));
    return std::string(ConnectionLimits::Read(config, absl::InfiniteDuration()).status().message());
  };
  EXPECT_THAT(message("max_age {seconds: -1}"),
              HasSubstr("server.connections.max_age is -1s, wanted 0 to 24h"));
  EXPECT_THAT(message("max_age_grace {seconds: 90000}"), HasSubstr("max_age_grace is 25h"));
  EXPECT_THAT(message("max_idle {seconds: -5}"), HasSubstr("max_idle is -5s"));
  EXPECT_THAT(message("keepalive_time {nanos: 999000000}"),
              HasSubstr("keepalive_time is 999ms, wanted 1s to 24h"));
  EXPECT_THAT(message("keepalive_timeout {}"), HasSubstr("keepalive_timeout is 0, wanted 100ms"));
  EXPECT_THAT(message("min_ping_interval {seconds: -1}"), HasSubstr("min_ping_interval is -1s"));
  config::v1::Endpoint endpoint;
  endpoint.mutable_keepalive_time();
  EXPECT_THAT(ClientKeepalive::Read(endpoint, false).status().message(),
              HasSubstr("keepalive_time is 0, wanted 1s to 24h"));
  endpoint.clear_keepalive_time();
  endpoint.mutable_keepalive_timeout()->set_seconds(-1);
  EXPECT_THAT(ClientKeepalive::Read(endpoint, false).status().message(),
              HasSubstr("keepalive_timeout is -1s, wanted 100ms to 24h"));
}

TEST(ClientKeepaliveTest, OnlyWhoIsKnownToBearItIsPingedOften) {
  config::v1::Endpoint endpoint;
  EXPECT_EQ(ClientKeepalive::Read(endpoint, true)->time, absl::Seconds(10));
  EXPECT_TRUE(ClientKeepalive::Read(endpoint, true)->without_requests);
  EXPECT_GT(ClientKeepalive::Read(endpoint, false)->time, absl::Minutes(5));
  EXPECT_FALSE(ClientKeepalive::Read(endpoint, false)->without_requests);
  endpoint.mutable_keepalive_time()->set_seconds(7);
  EXPECT_EQ(ClientKeepalive::Read(endpoint, false)->time, absl::Seconds(7));
  EXPECT_TRUE(ClientKeepalive::Read(endpoint, false)->without_requests);
}

TEST(ConnectionLimitsTest, UnsetIsWhatTheServiceSaysAndZeroIsNever) {
  config::v1::Connections config;
  EXPECT_EQ(ConnectionLimits::Read(config, absl::Minutes(10))->max_age, absl::Minutes(10));
  config.mutable_max_age();
  config.mutable_max_idle();
  const auto limits = *ConnectionLimits::Read(config, absl::Minutes(10));
  EXPECT_EQ(limits.max_age, absl::InfiniteDuration());
  EXPECT_EQ(limits.max_idle, absl::InfiniteDuration());
}

}  // namespace
}  // namespace penstock
