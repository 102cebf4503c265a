#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <functional>
#include <future>
#include <memory>
#include <string>
#include <utility>

#include "common/mutex.h"
#include "common/net/oip/grpc_infer_target.h"
#include "common/net/oip/oip_server.h"
#include "common/notification.h"
#include "inference/grpc_service.grpc.pb.h"

namespace penstock {

// Answers each call by a function.
class FunctionHandler final : public InferHandler {
 public:
  using Function = std::function<void(std::shared_ptr<IncomingCall>)>;
  explicit FunctionHandler(Function function) : function_(std::move(function)) {}
  void ModelInfer(std::shared_ptr<IncomingCall> call) override { function_(std::move(call)); }

  // The request's bytes as the answer.
  static void Echo(const std::shared_ptr<IncomingCall>& call) {
    call->Finish(InferReply{absl::OkStatus(), call->request(), {}});
  }

 private:
  const Function function_;
};

class TestControl final : public OipControl {
 public:
  void ServerReady(const ControlContext&, const inference::ServerReadyRequest&,
                   inference::ServerReadyResponse& response, ControlDone done) override {
    response.set_ready(true);
    done(absl::OkStatus());
  }
  // Not ready, and says why in the status, for the model "broken".
  void ModelReady(const ControlContext&, const inference::ModelReadyRequest& request,
                  inference::ModelReadyResponse& response, ControlDone done) override {
    if (request.name() == "broken") return done(absl::NotFoundError("no model broken"));
    if (request.name() == "dropped") return;
    if (request.name() == "never") {
      MutexLock lock(mutex_);
      kept_ = std::move(done);
      return;
    }
    response.set_ready(true);
    done(absl::OkStatus());
  }
  void ServerMetadata(const ControlContext& context, const inference::ServerMetadataRequest&,
                      inference::ServerMetadataResponse& response, ControlDone done) override {
    response.set_name("test");
    response.set_version(context.caller.trusted ? "trusted" : "untrusted");
    for (const auto& [key, value] : context.metadata) response.add_extensions(key + "=" + value);
    done(absl::OkStatus());
  }
  // Answers from another thread.
  void ModelMetadata(const ControlContext&, const inference::ModelMetadataRequest& request,
                     inference::ModelMetadataResponse& response, ControlDone done) override {
    future_ = std::async(std::launch::async, [&request, &response,
                                              done = std::move(done)]() mutable {
      response.set_name(request.name());
      done(absl::OkStatus());
    });
  }
  void ModelConfig(const ControlContext&, const inference::ModelConfigRequest& request,
                   inference::ModelConfigResponse& response, ControlDone done) override {
    response.mutable_config()->set_name(request.name());
    done(absl::OkStatus());
  }
  void ModelStatistics(const ControlContext&, const inference::ModelStatisticsRequest& request,
                       inference::ModelStatisticsResponse& response, ControlDone done) override {
    response.add_model_stats()->set_name(request.name());
    done(absl::OkStatus());
  }
  void RepositoryIndex(const ControlContext&, const inference::RepositoryIndexRequest&,
                       inference::RepositoryIndexResponse& response, ControlDone done) override {
    response.add_models()->set_name("a");
    done(absl::OkStatus());
  }

 private:
  std::future<void> future_;
  Mutex mutex_;
  ControlDone kept_ ABSL_GUARDED_BY(mutex_);
};

// A server on a free port of the loopback.
class TestServer {
 public:
  explicit TestServer(FunctionHandler::Function function,
                      const std::function<void(OipServerOptions&)>& change = {})
      : handler_(std::move(function)) {
    OipServerOptions options;
    options.service = "test";
    options.default_address = "127.0.0.1:0";
    options.config.set_threads(2);
    options.config.mutable_drain()->mutable_grace();      // 0
    options.config.mutable_drain()->mutable_timeout()->set_seconds(10);
    if (change) change(options);
    auto server = OipServer::Create(std::move(options));
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    const absl::Status started = server_->Start(handler_, control_);
    EXPECT_TRUE(started.ok()) << started;
    server_->SetServing(true);
  }
  ~TestServer() { server_->Drain(); }

  OipServer& operator*() { return *server_; }
  OipServer* operator->() { return server_.get(); }

  std::shared_ptr<grpc::Channel> Socket() {
    return grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials());
  }

 private:
  FunctionHandler handler_;
  TestControl control_;
  std::unique_ptr<OipServer> server_;
};

// One ModelInfer through a target, waited for.
inline InferReply Infer(InferTarget& target, Bytes request, CallOptions options = {}) {
  auto reply = std::make_shared<std::promise<InferReply>>();
  std::future<InferReply> future = reply->get_future();
  target.ModelInfer(std::move(request), std::move(options),
                    [reply](InferReply r) { reply->set_value(std::move(r)); });
  if (future.wait_for(std::chrono::seconds(30)) != std::future_status::ready) {
    ADD_FAILURE() << "no reply";
    return InferReply{absl::UnknownError("no reply"), {}, {}};
  }
  return future.get();
}

}  // namespace penstock
