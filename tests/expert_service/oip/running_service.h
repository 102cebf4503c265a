#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <vector>

#include "common/metrics/service_registry.h"
#include "common/net/orca.h"
#include "common/tensors/infer_message.h"
#include "common/tensors/safetensors.h"
#include "common/tensors/tensor.h"
#include "common/time/clock.h"
#include "expert_service/expert_service.h"
#include "gtest/gtest.h"
#include "inference/grpc_service.grpc.pb.h"
#include "penstock/v1/expert_control.grpc.pb.h"
#include "tests/support/temp_dir.h"

namespace penstock::expert {

// penstock-expert with two models, reached in process:
//   doubles: x [rows, 2] FP32 -> y = 2 x [rows, 2], label BYTES [rows, 1] (left, right); 8 rows
//   echo:    any BYTES [-1] and INT32 [-1, 2], returned
class RunningService {
 public:
  explicit RunningService(bool start = true) : registry(std::make_shared<ServiceRegistry>()) {
    repository_.Write("doubles/config.yaml", R"(
inputs: [{name: x, datatype: FP32, shape: [2]}]
outputs:
  - {name: y, datatype: FP32, shape: [2], block: 0}
  - {name: label, datatype: BYTES, shape: [1]}
blocks: [{linear: {}}, {labels: {names: [left, right]}}]
batching: {max_rows: 8, max_delay_us: 200, max_queue: 16}
)");
    repository_.Write("doubles/1/.keep", "");
    EXPECT_TRUE(WriteSafetensors(repository_.File("doubles/1/model.safetensors"),
                                 {{"0.weight", {2, 2}, {2, 0, 0, 2}}}, {})
                    .ok());
    repository_.Write("echo/config.yaml", R"(
inputs: [{name: a, datatype: BYTES, shape: [-1]}, {name: b, datatype: INT32, shape: [-1, 2]}]
outputs: [{name: c, datatype: BYTES, shape: [-1]}, {name: d, datatype: INT32, shape: [-1, 2]}]
blocks: [{identity: {}}]
batching: {max_rows: 0}
)");
    repository_.Write("echo/1/.keep", "");
    config::v1::Expert config;
    config.set_model_repository(repository_.path());
    config.mutable_execution()->set_threads(1);
    config.mutable_metering()->set_source(config::v1::Metering::MODELLED);
    config.mutable_metering()->set_joules_per_request(0.5);
    config.mutable_metering()->set_joules_per_flop(0);
    config.mutable_metering()->set_joules_per_byte(0);
    config.mutable_server()->mutable_drain()->mutable_grace()->set_nanos(0);
    ExpertService::Options options;
    options.default_address = "";
    options.registry = registry;
    auto created = ExpertService::Create(config, clock, options);
    EXPECT_TRUE(created.ok()) << created.status().ToString();
    service = *std::move(created);
    if (!start) return;
    const absl::Status started = service->Start();
    EXPECT_TRUE(started.ok()) << started.ToString();
    oip = inference::GRPCInferenceService::NewStub(service->InProcessChannel());
    control = v1::ExpertControl::NewStub(service->InProcessChannel());
  }

  struct Answer {
    grpc::Status status;
    inference::ModelInferResponse response;
    Metadata trailers;
  };
  Answer Infer(const inference::ModelInferRequest& request,
               absl::Duration budget = absl::Seconds(20)) {
    Answer answer;
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(budget));
    answer.status = oip->ModelInfer(&context, request, &answer.response);
    for (const auto& [key, value] : context.GetServerTrailingMetadata()) {
      answer.trailers.emplace_back(std::string(key.data(), key.size()),
                                   std::string(value.data(), value.size()));
    }
    return answer;
  }
  static inference::ModelInferRequest Doubles(const std::vector<float>& values) {
    inference::ModelInferRequest request;
    request.set_model_name("doubles");
    request.set_id("id-1");
    auto& input = *request.add_inputs();
    input.set_name("x");
    input.set_datatype("FP32");
    input.add_shape(static_cast<int64_t>(values.size()) / 2);
    input.add_shape(2);
    request.add_raw_input_contents(values.data(), values.size() * sizeof(float));
    return request;
  }

  const RealClock clock;
  std::shared_ptr<ServiceRegistry> registry;
  std::unique_ptr<ExpertService> service;
  std::unique_ptr<inference::GRPCInferenceService::Stub> oip;
  std::unique_ptr<v1::ExpertControl::Stub> control;

 private:
  TempDir repository_;
};

inline std::vector<float> Floats(const std::string& raw) {
  std::vector<float> values(raw.size() / sizeof(float));
  raw.copy(reinterpret_cast<char*>(values.data()), raw.size());
  return values;
}

}  // namespace penstock::expert
