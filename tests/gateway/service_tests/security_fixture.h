#pragma once

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <prometheus/registry.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/mutex.h"
#include "common/net/rpc/rpc_service.h"
#include "common/time/clock.h"
#include "gateway/gateway_service.h"
#include "inference/grpc_service.grpc.pb.h"
#include "penstock/v1/routing.grpc.pb.h"
#include "tests/common_net/net_fixture.h"
#include "tests/gateway/identity/test_tokens.h"
#include "tests/support/temp_dir.h"

namespace penstock::gateway {

// A router at a free port that takes every budget and records what it is told about callers.
class FakeRouter {
 public:
  FakeRouter()
      : routing_(*this),
        handler_([this](const std::shared_ptr<IncomingCall>& call) { Take(call); }) {
    OipServerOptions options;
    options.service = "router";
    options.default_address = "127.0.0.1:0";
    options.trust_plaintext = true;
    options.config.set_threads(1);
    options.config.mutable_drain()->mutable_grace();  // 0
    server_ = *OipServer::Create(std::move(options));
    EXPECT_TRUE(server_->Start(handler_, control_, {&routing_}).ok());
    server_->SetServing(true);
  }
  ~FakeRouter() { server_->Drain(); }

  const std::string& address() const { return server_->address(); }
  // Of each call, in order.
  std::vector<Metadata> seen() const {
    MutexLock lock(mutex_);
    return seen_;
  }
  // Requests from here on wait for Release.
  void Hold() {
    MutexLock lock(mutex_);
    holds_ = true;
  }
  // Until a request waits.
  void WaitForHeld() {
    MutexLock lock(mutex_);
    while (held_.empty()) changed_.Wait(mutex_);
  }
  void Release() {
    std::vector<std::shared_ptr<IncomingCall>> held;
    {
      MutexLock lock(mutex_);
      holds_ = false;
      held.swap(held_);
    }
    for (const auto& call : held) FunctionHandler::Echo(call);
  }

 private:
  class Routing final : public RpcService {
   public:
    explicit Routing(FakeRouter& router) {
      AddUnary<v1::SetBudgetRequest, v1::SetBudgetResponse>(
          "/penstock.v1.Routing/SetBudget",
          [&router](const ControlContext& context, const v1::SetBudgetRequest&,
                    v1::SetBudgetResponse&, ControlDone done) {
            router.Saw(context.metadata);
            done(absl::OkStatus());
          });
    }
  };
  void Take(const std::shared_ptr<IncomingCall>& call) {
    Saw(call->metadata());
    {
      MutexLock lock(mutex_);
      if (holds_) {
        held_.push_back(call);
        changed_.NotifyAll();
        return;
      }
    }
    FunctionHandler::Echo(call);
  }
  void Saw(const Metadata& metadata) {
    MutexLock lock(mutex_);
    seen_.push_back(metadata);
  }

  Routing routing_;
  FunctionHandler handler_;
  TestControl control_;
  mutable Mutex mutex_;
  CondVar changed_;
  std::vector<Metadata> seen_ ABSL_GUARDED_BY(mutex_);
  bool holds_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::shared_ptr<IncomingCall>> held_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<OipServer> server_;
};

// A gateway over sockets in front of a FakeRouter. Knows the API key "abc" of the tenant "keyed",
// who is an administrator, and tokens of `issuer_key_`.
class SecurityTest : public ::testing::Test {
 protected:
  SecurityTest() {
    config_.add_routers()->set_address(router_.address());
    config_.mutable_server()->set_threads(1);
    config_.mutable_server()->mutable_drain()->mutable_grace();  // 0
    config::v1::Identity& identity = *config_.mutable_identity();
    // SHA-256 of "abc".
    identity.set_api_keys_file(dir_.Write(
        "keys.yaml",
        "keys: [{sha256: ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad, "
        "tenant: keyed, admin: true}]\n"));
    config::v1::Jwt& jwt = *identity.mutable_jwt();
    jwt.set_jwks_file(dir_.Write("jwks.json", Jwks({issuer_key_.Public()})));
    jwt.set_issuer("https://issuer");
    jwt.add_audiences("penstock");
    jwt.mutable_claims()->set_rights("scope");
    jwt.mutable_claims()->set_pools("pools");
    identity.mutable_reload_interval()->set_nanos(10'000'000);
  }
  // The destructors' order: the gateway goes before the router.
  void Serve() {
    GatewayService::Options options;
    options.default_address = "127.0.0.1:0";
    options.registry = registry_;
    auto gateway = GatewayService::Create(config_, clock_, std::move(options));
    ASSERT_TRUE(gateway.ok()) << gateway.status();
    gateway_ = *std::move(gateway);
    ASSERT_TRUE(gateway_->Start().ok());
    ASSERT_TRUE(gateway_->WaitUntilReady(absl::Seconds(30)));
    channel_ = grpc::CreateChannel(gateway_->address(), grpc::InsecureChannelCredentials());
  }

  // Claims that hold; `more` comes beside or instead.
  std::string Claims(const std::string& more = "") const {
    return absl::StrCat(
        R"({"iss":"https://issuer","aud":"penstock","sub":"tokened","pools":["digits"],"exp":)",
        absl::ToUnixSeconds(clock_.Now()) + 600, more.empty() ? "" : ",", more, "}");
  }
  std::string Token(const std::string& more = "") const { return issuer_key_.Sign(Claims(more)); }

  struct Outcome {
    grpc::Status status;
    std::vector<std::string> messages;
    std::multimap<std::string, std::string> trailers;
  };
  // Any method, with one message, which may be empty.
  Outcome Call(const std::string& path, const Metadata& metadata, const std::string& request = "") {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    for (const auto& [key, value] : metadata) context.AddMetadata(key, value);
    grpc::GenericStub stub(channel_);
    grpc::CompletionQueue queue;
    const auto call = stub.PrepareCall(&context, path, &queue);
    const auto wait = [&queue] {
      void* tag = nullptr;
      bool ok = false;
      return queue.Next(&tag, &ok) && ok;
    };
    Outcome outcome;
    call->StartCall(nullptr);
    wait();
    const grpc::Slice slice(request);
    call->Write(grpc::ByteBuffer(&slice, 1), nullptr);
    if (wait()) {
      call->WritesDone(nullptr);
      wait();
    }
    for (;;) {
      grpc::ByteBuffer message;
      call->Read(&message, nullptr);
      if (!wait()) break;
      grpc::Slice whole;
      EXPECT_TRUE(message.DumpToSingleSlice(&whole).ok());
      outcome.messages.emplace_back(reinterpret_cast<const char*>(whole.begin()), whole.size());
    }
    call->Finish(&outcome.status, nullptr);
    wait();
    for (const auto& [key, value] : context.GetServerTrailingMetadata()) {
      outcome.trailers.emplace(std::string(key.data(), key.size()),
                               std::string(value.data(), value.size()));
    }
    return outcome;
  }
  Outcome Infer(const Metadata& metadata, const std::string& pool = "digits") {
    inference::ModelInferRequest request;
    request.set_model_name(pool);
    return Call("/inference.GRPCInferenceService/ModelInfer", metadata,
                request.SerializeAsString());
  }
  static Metadata Bearer(const std::string& credential) {
    return {{"authorization", "Bearer " + credential}};
  }

  const TempDir dir_;
  const RealClock clock_;
  const SigningKey issuer_key_{"current", "ES256"};
  const std::shared_ptr<prometheus::Registry> registry_ = std::make_shared<prometheus::Registry>();
  FakeRouter router_;
  config::v1::Gateway config_;
  std::unique_ptr<GatewayService> gateway_;
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace penstock::gateway
