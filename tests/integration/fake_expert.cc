#include "tests/integration/fake_expert.h"

#include <utility>

#include "common/tensors/infer_message.h"
#include "gtest/gtest.h"
#include "inference/grpc_service.pb.h"

namespace penstock {
namespace {

constexpr int64_t kInputs = 4;
constexpr int64_t kOutputs = 2;
constexpr int kMaxRows = 64;

void Describe(const char* name, int64_t size,
              inference::ModelMetadataResponse::TensorMetadata& to) {
  to.set_name(name);
  to.set_datatype("FP32");
  to.add_shape(-1);
  to.add_shape(size);
}

}  // namespace

class FakeExpert::Handler final : public InferHandler {
 public:
  void ModelInfer(std::shared_ptr<IncomingCall> call) override {
    Behaviour behaviour;
    {
      MutexLock lock(mutex_);
      ++calls_;
      if (holding_) {
        held_.push_back(call);
      } else {
        behaviour = behaviour_;
      }
    }
    if (behaviour) return behaviour(std::move(call));
    call->SetCancelHandler([this] {
      MutexLock lock(mutex_);
      ++cancelled_;
    });
  }

  void Do(Behaviour behaviour) {
    MutexLock lock(mutex_);
    behaviour_ = std::move(behaviour);
  }
  void Hold() {
    MutexLock lock(mutex_);
    holding_ = true;
    cancelled_ = 0;
  }
  void ReleaseWith(const Behaviour& behaviour) {
    std::vector<std::shared_ptr<IncomingCall>> held;
    {
      MutexLock lock(mutex_);
      holding_ = false;
      held.swap(held_);
    }
    for (const auto& call : held) behaviour(call);
  }
  size_t held() const {
    MutexLock lock(mutex_);
    return held_.size();
  }
  size_t cancelled() const {
    MutexLock lock(mutex_);
    return cancelled_;
  }
  size_t calls() const {
    MutexLock lock(mutex_);
    return calls_;
  }

 private:
  mutable Mutex mutex_;
  Behaviour behaviour_ ABSL_GUARDED_BY(mutex_) = &FakeExpert::AnswerWell;
  bool holding_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::shared_ptr<IncomingCall>> held_ ABSL_GUARDED_BY(mutex_);
  size_t cancelled_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t calls_ ABSL_GUARDED_BY(mutex_) = 0;
};

class FakeExpert::Control final : public OipControl {
 public:
  void ServerReady(const ControlContext&, const inference::ServerReadyRequest&,
                   inference::ServerReadyResponse& response, ControlDone done) override {
    response.set_ready(true);
    done(absl::OkStatus());
  }
  void ModelReady(const ControlContext&, const inference::ModelReadyRequest&,
                  inference::ModelReadyResponse& response, ControlDone done) override {
    response.set_ready(true);
    done(absl::OkStatus());
  }
  void ServerMetadata(const ControlContext&, const inference::ServerMetadataRequest&,
                      inference::ServerMetadataResponse& response, ControlDone done) override {
    response.set_name("fake");
    done(absl::OkStatus());
  }
  void ModelMetadata(const ControlContext&, const inference::ModelMetadataRequest& request,
                     inference::ModelMetadataResponse& response, ControlDone done) override {
    response.set_name(request.name());
    Describe("x", kInputs, *response.add_inputs());
    Describe("y", kOutputs, *response.add_outputs());
    done(absl::OkStatus());
  }
  void ModelConfig(const ControlContext&, const inference::ModelConfigRequest& request,
                   inference::ModelConfigResponse& response, ControlDone done) override {
    response.mutable_config()->set_name(request.name());
    response.mutable_config()->set_max_batch_size(kMaxRows);
    done(absl::OkStatus());
  }
  void ModelStatistics(const ControlContext&, const inference::ModelStatisticsRequest&,
                       inference::ModelStatisticsResponse&, ControlDone done) override {
    done(absl::UnimplementedError("ModelStatistics"));
  }
  void RepositoryIndex(const ControlContext&, const inference::RepositoryIndexRequest&,
                       inference::RepositoryIndexResponse&, ControlDone done) override {
    done(absl::UnimplementedError("RepositoryIndex"));
  }
};

FakeExpert::FakeExpert()
    : handler_(std::make_unique<Handler>()), control_(std::make_unique<Control>()) {
  OipServerOptions options;
  options.service = "fake";
  options.default_address = "127.0.0.1:0";
  options.config.set_threads(1);
  options.config.mutable_drain()->mutable_grace();  // 0
  options.config.mutable_drain()->mutable_timeout()->set_seconds(5);
  auto server = OipServer::Create(std::move(options));
  EXPECT_TRUE(server.ok()) << server.status();
  server_ = *std::move(server);
  const absl::Status started = server_->Start(*handler_, *control_);
  EXPECT_TRUE(started.ok()) << started;
  server_->SetServing(true);
}

FakeExpert::~FakeExpert() {
  Release();
  server_->Drain();
}

void FakeExpert::Do(Behaviour behaviour) { handler_->Do(std::move(behaviour)); }
void FakeExpert::Hold() { handler_->Hold(); }
void FakeExpert::ReleaseWith(const Behaviour& behaviour) { handler_->ReleaseWith(behaviour); }
size_t FakeExpert::held() const { return handler_->held(); }
size_t FakeExpert::cancelled() const { return handler_->cancelled(); }
size_t FakeExpert::calls() const { return handler_->calls(); }

void FakeExpert::AnswerWell(const std::shared_ptr<IncomingCall>& call) {
  InferReply reply;
  const auto header = ScanInferRequest(call->request());
  if (header.ok() && !header->inputs.empty() && !header->inputs[0].shape.empty()) {
    const int64_t rows = header->inputs[0].shape[0];
    InferResponse response;
    response.model_name = header->model_name;
    response.outputs.push_back(FloatTensor(
        "y", {rows, kOutputs}, std::vector<float>(static_cast<size_t>(rows * kOutputs))));
    reply.body = EncodeInferResponse(response);
  } else {
    reply.status = absl::InvalidArgumentError("no request that the fake understands");
  }
  call->Finish(std::move(reply));
}

FakeExpert::Behaviour FakeExpert::AnswerWith(InferReply reply) {
  return [reply = std::move(reply)](const std::shared_ptr<IncomingCall>& call) {
    call->Finish(reply);
  };
}

}  // namespace penstock
