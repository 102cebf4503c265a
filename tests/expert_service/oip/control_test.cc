#include "gmock/gmock.h"
#include "tests/expert_service/oip/running_service.h"

namespace penstock::expert {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ControlTest : public ::testing::Test {
 protected:
  template <typename Method, typename Stub, typename Request, typename Response>
  grpc::Status Call(Stub& stub, Method method, const Request& request, Response& response) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    return (stub.*method)(&context, request, &response);
  }

  RunningService expert_;
};

TEST_F(ControlTest, IsLiveAndReady) {
  inference::ServerLiveResponse live;
  EXPECT_TRUE(Call(*expert_.oip, &inference::GRPCInferenceService::Stub::ServerLive,
                   inference::ServerLiveRequest(), live)
                  .ok());
  EXPECT_TRUE(live.live());
  inference::ServerReadyResponse ready;
  EXPECT_TRUE(Call(*expert_.oip, &inference::GRPCInferenceService::Stub::ServerReady,
                   inference::ServerReadyRequest(), ready)
                  .ok());
  EXPECT_TRUE(ready.ready());
}

TEST_F(ControlTest, ModelsAreReadyByNameAndVersion) {
  const auto ready = [&](const std::string& name, const std::string& version) {
    inference::ModelReadyRequest request;
    request.set_name(name);
    request.set_version(version);
    inference::ModelReadyResponse response;
    EXPECT_TRUE(
        Call(*expert_.oip, &inference::GRPCInferenceService::Stub::ModelReady, request, response)
            .ok());
    return response.ready();
  };
  EXPECT_TRUE(ready("doubles", ""));
  EXPECT_TRUE(ready("doubles", "1"));
  EXPECT_FALSE(ready("doubles", "2"));
  EXPECT_FALSE(ready("none", ""));
}

TEST_F(ControlTest, ServerMetadataNamesOnlyWhatIsThere) {
  inference::ServerMetadataResponse response;
  ASSERT_TRUE(Call(*expert_.oip, &inference::GRPCInferenceService::Stub::ServerMetadata,
                   inference::ServerMetadataRequest(), response)
                  .ok());
  EXPECT_EQ(response.name(), "penstock-expert");
  EXPECT_THAT(response.extensions(),
              ElementsAre("binary_tensor_data", "parameters", "statistics", "model_configuration",
                          "model_repository"));
}

TEST_F(ControlTest, ModelMetadataShowsTheRowDimension) {
  inference::ModelMetadataRequest request;
  request.set_name("doubles");
  inference::ModelMetadataResponse response;
  ASSERT_TRUE(
      Call(*expert_.oip, &inference::GRPCInferenceService::Stub::ModelMetadata, request, response)
          .ok());
  EXPECT_EQ(response.platform(), "penstock");
  EXPECT_THAT(response.versions(), ElementsAre("1"));
  ASSERT_EQ(response.inputs_size(), 1);
  EXPECT_EQ(response.inputs(0).datatype(), "FP32");
  EXPECT_THAT(response.inputs(0).shape(), ElementsAre(-1, 2));
  EXPECT_THAT(response.outputs(1).shape(), ElementsAre(-1, 1));

  request.set_name("echo");
  response.Clear();
  ASSERT_TRUE(
      Call(*expert_.oip, &inference::GRPCInferenceService::Stub::ModelMetadata, request, response)
          .ok());
  EXPECT_THAT(response.inputs(0).shape(), ElementsAre(-1));

  request.set_name("none");
  EXPECT_EQ(
      Call(*expert_.oip, &inference::GRPCInferenceService::Stub::ModelMetadata, request, response)
          .error_code(),
      grpc::StatusCode::NOT_FOUND);
}

TEST_F(ControlTest, ModelConfigIsTritons) {
  inference::ModelConfigRequest request;
  request.set_name("doubles");
  inference::ModelConfigResponse response;
  ASSERT_TRUE(
      Call(*expert_.oip, &inference::GRPCInferenceService::Stub::ModelConfig, request, response)
          .ok());
  const inference::ModelConfig& config = response.config();
  EXPECT_EQ(config.max_batch_size(), 8);
  EXPECT_EQ(config.input(0).data_type(), inference::TYPE_FP32);
  EXPECT_THAT(config.input(0).dims(), ElementsAre(2));
  EXPECT_EQ(config.output(1).data_type(), inference::TYPE_STRING);
  EXPECT_EQ(config.dynamic_batching().max_queue_delay_microseconds(), 200u);
  EXPECT_EQ(config.dynamic_batching().default_queue_policy().max_queue_size(), 16u);

  request.set_name("echo");
  response.Clear();
  ASSERT_TRUE(
      Call(*expert_.oip, &inference::GRPCInferenceService::Stub::ModelConfig, request, response)
          .ok());
  EXPECT_EQ(response.config().max_batch_size(), 0);
  EXPECT_FALSE(response.config().has_dynamic_batching());
}

TEST_F(ControlTest, StatisticsCountRequestsRowsAndBatches) {
  ASSERT_TRUE(expert_.Infer(RunningService::Doubles({1, 2, 3, 4})).status.ok());
  ASSERT_TRUE(expert_.Infer(RunningService::Doubles({1, 2})).status.ok());
  inference::ModelInferRequest wrong = RunningService::Doubles({1, 2});
  wrong.add_outputs()->set_name("z");
  ASSERT_FALSE(expert_.Infer(wrong).status.ok());

  inference::ModelStatisticsRequest request;
  request.set_name("doubles");
  inference::ModelStatisticsResponse response;
  ASSERT_TRUE(
      Call(*expert_.oip, &inference::GRPCInferenceService::Stub::ModelStatistics, request, response)
          .ok());
  ASSERT_EQ(response.model_stats_size(), 1);
  const inference::ModelStatistics& stats = response.model_stats(0);
  EXPECT_EQ(stats.inference_count(), 3u);
  EXPECT_EQ(stats.execution_count(), 2u);
  EXPECT_EQ(stats.inference_stats().success().count(), 2u);
  EXPECT_EQ(stats.inference_stats().fail().count(), 1u);
  EXPECT_EQ(stats.inference_stats().queue().count(), 2u);
  EXPECT_GT(stats.inference_stats().compute_infer().ns(), 0u);
  ASSERT_EQ(stats.batch_stats_size(), 2);
  EXPECT_EQ(stats.batch_stats(0).batch_size(), 1u);
  EXPECT_EQ(stats.batch_stats(1).batch_size(), 2u);
  EXPECT_GT(stats.last_inference(), 0u);

  request.clear_name();
  response.Clear();
  ASSERT_TRUE(
      Call(*expert_.oip, &inference::GRPCInferenceService::Stub::ModelStatistics, request, response)
          .ok());
  EXPECT_EQ(response.model_stats_size(), 2);
}

TEST_F(ControlTest, RepositoryIndexListsTheModels) {
  inference::RepositoryIndexResponse response;
  ASSERT_TRUE(Call(*expert_.oip, &inference::GRPCInferenceService::Stub::RepositoryIndex,
                   inference::RepositoryIndexRequest(), response)
                  .ok());
  ASSERT_EQ(response.models_size(), 2);
  EXPECT_EQ(response.models(0).name(), "doubles");
  EXPECT_EQ(response.models(0).state(), "READY");
}

TEST_F(ControlTest, DescribeGivesTheCostProfile) {
  v1::DescribeRequest request;
  request.set_model("doubles");
  v1::DescribeResponse response;
  ASSERT_TRUE(Call(*expert_.control, &v1::ExpertControl::Stub::Describe, request, response).ok());
  ASSERT_EQ(response.models_size(), 1);
  const v1::ModelDescription& model = response.models(0);
  EXPECT_DOUBLE_EQ(model.flops_per_row(), 8);
  EXPECT_GE(model.weight_bytes(), 16u);
  EXPECT_GT(model.seconds_per_row(), 0);
  EXPECT_DOUBLE_EQ(model.joules_per_request(), 0.5);
  EXPECT_DOUBLE_EQ(model.joules_per_row(), 0);
  EXPECT_EQ(model.max_batch_rows(), 8u);
  EXPECT_THAT(response.device(), HasSubstr("cpu"));
  EXPECT_EQ(response.energy_method(), "modelled");
  EXPECT_DOUBLE_EQ(response.idle_watts(), 10);

  request.set_model("none");
  EXPECT_EQ(
      Call(*expert_.control, &v1::ExpertControl::Stub::Describe, request, response).error_code(),
      grpc::StatusCode::NOT_FOUND);
}

TEST_F(ControlTest, WatchLoadSendsUntilTheClientLeaves) {
  grpc::ClientContext context;
  v1::WatchLoadRequest request;
  request.mutable_interval()->set_nanos(10'000'000);
  const auto stream = expert_.control->WatchLoad(&context, request);
  v1::Load load;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(stream->Read(&load));
    EXPECT_THAT(load.resident_models(), ElementsAre("doubles", "echo"));
    EXPECT_GT(load.watts(), 0);
  }
  context.TryCancel();
  while (stream->Read(&load)) {
  }
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(ControlTest, WatchLoadRefusesTooShortAnInterval) {
  grpc::ClientContext context;
  v1::WatchLoadRequest request;
  request.mutable_interval()->set_nanos(1);
  const auto stream = expert_.control->WatchLoad(&context, request);
  v1::Load load;
  EXPECT_FALSE(stream->Read(&load));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ControlTest, ADrainEndsTheStreams) {
  grpc::ClientContext context;
  const auto stream = expert_.control->WatchLoad(&context, v1::WatchLoadRequest());
  v1::Load load;
  ASSERT_TRUE(stream->Read(&load));
  expert_.service->Drain();
  while (stream->Read(&load)) {
  }
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(ControlTest, PrefetchKnowsItsModels) {
  v1::PrefetchRequest request;
  request.add_models("doubles");
  v1::PrefetchResponse response;
  EXPECT_TRUE(Call(*expert_.control, &v1::ExpertControl::Stub::Prefetch, request, response).ok());
  request.add_models("none");
  EXPECT_EQ(
      Call(*expert_.control, &v1::ExpertControl::Stub::Prefetch, request, response).error_code(),
      grpc::StatusCode::NOT_FOUND);
}

TEST(ExpertServiceTest, RefusesAModelRepositoryThatIsNoDirectory) {
  const TempDir folder;
  config::v1::Expert config;
  config.set_model_repository(folder.path());
  EXPECT_TRUE(ExpertService::Validate(config).ok());
  config.set_model_repository(folder.File("nowhere"));
  const absl::Status status = ExpertService::Validate(config);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              ::testing::AllOf(HasSubstr("model_repository"), HasSubstr("nowhere")));
}

}  // namespace
}  // namespace penstock::expert
