#include <thread>

#include "common/notification.h"
#include "gmock/gmock.h"
#include "tests/expert_service/oip/running_service.h"

namespace penstock::expert {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class InferHandlerTest : public ::testing::Test {
 protected:
  void ExpectRefused(const inference::ModelInferRequest& request, grpc::StatusCode code,
                     const std::string& message) {
    const auto answer = expert_.Infer(request);
    EXPECT_EQ(answer.status.error_code(), code) << answer.status.error_message();
    EXPECT_THAT(answer.status.error_message(), HasSubstr(message));
  }

  RunningService expert_;
};

TEST_F(InferHandlerTest, AnswersWithRawContentsAndEchoesTheId) {
  const auto answer = expert_.Infer(RunningService::Doubles({1, 2, 5, 4}));
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_EQ(answer.response.model_name(), "doubles");
  EXPECT_EQ(answer.response.model_version(), "1");
  EXPECT_EQ(answer.response.id(), "id-1");
  ASSERT_EQ(answer.response.outputs_size(), 2);
  EXPECT_EQ(answer.response.outputs(0).name(), "y");
  EXPECT_THAT(answer.response.outputs(0).shape(), ElementsAre(2, 2));
  EXPECT_THAT(Floats(answer.response.raw_output_contents(0)), ElementsAre(2, 4, 10, 8));
  EXPECT_EQ(answer.response.raw_output_contents(1),
            std::string("\x05\0\0\0right\x04\0\0\0left", 17));
}

TEST_F(InferHandlerTest, TakesTypedContents) {
  inference::ModelInferRequest request = RunningService::Doubles({1, 2});
  request.clear_raw_input_contents();
  request.mutable_inputs(0)->mutable_contents()->add_fp32_contents(3);
  request.mutable_inputs(0)->mutable_contents()->add_fp32_contents(4);
  const auto answer = expert_.Infer(request);
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_THAT(Floats(answer.response.raw_output_contents(0)), ElementsAre(6, 8));
}

TEST_F(InferHandlerTest, ReportsWhatItCostUnderBothKeys) {
  const auto answer = expert_.Infer(RunningService::Doubles({1, 2}));
  const auto report = FindOrcaReport(answer.trailers);
  ASSERT_TRUE(report.has_value());
  EXPECT_DOUBLE_EQ(report->request_cost().at("joules"), 0.5);
  EXPECT_GE(report->request_cost().at("queue_seconds"), 0);
  EXPECT_GT(report->request_cost().at("compute_seconds"), 0);
  EXPECT_EQ(report->named_metrics().at("energy_method"), 3);
  EXPECT_GT(report->named_metrics().at("watts"), 0);
  EXPECT_EQ(report->named_metrics().count("queue_depth"), 1u);
  EXPECT_EQ(report->named_metrics().count("in_flight"), 1u);
  EXPECT_GE(report->application_utilization(), 0);
}

TEST_F(InferHandlerTest, ARefusedRequestCostsNothing) {
  inference::ModelInferRequest request = RunningService::Doubles({1, 2});
  request.set_model_name("none");
  const auto report = FindOrcaReport(expert_.Infer(request).trailers);
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->request_cost().at("joules"), 0);
}

TEST_F(InferHandlerTest, GivesTheOutputsAskedForInTheirOrder) {
  inference::ModelInferRequest request = RunningService::Doubles({1, 2});
  request.add_outputs()->set_name("label");
  auto answer = expert_.Infer(request);
  ASSERT_EQ(answer.response.outputs_size(), 1);
  EXPECT_EQ(answer.response.outputs(0).name(), "label");
  ASSERT_EQ(answer.response.raw_output_contents_size(), 1);

  request.add_outputs()->set_name("y");
  answer = expert_.Infer(request);
  ASSERT_EQ(answer.response.outputs_size(), 2);
  EXPECT_EQ(answer.response.outputs(1).name(), "y");
  EXPECT_THAT(Floats(answer.response.raw_output_contents(1)), ElementsAre(2, 4));
}

TEST_F(InferHandlerTest, RefusesUnknownNames) {
  inference::ModelInferRequest request = RunningService::Doubles({1, 2});
  request.set_model_name("none");
  ExpectRefused(request, grpc::StatusCode::NOT_FOUND, "there are: doubles, echo");
  request.set_model_name("doubles");
  request.set_model_version("7");
  ExpectRefused(request, grpc::StatusCode::NOT_FOUND, "no version \"7\"");
  request.clear_model_version();
  request.add_outputs()->set_name("z");
  ExpectRefused(request, grpc::StatusCode::INVALID_ARGUMENT, "unknown output \"z\"");
  request.clear_outputs();
  request.mutable_inputs(0)->set_name("w");
  ExpectRefused(request, grpc::StatusCode::INVALID_ARGUMENT, "unknown input \"w\"");
}

TEST_F(InferHandlerTest, RefusesWrongShapesAndSizes) {
  inference::ModelInferRequest request = RunningService::Doubles({1, 2});
  request.mutable_inputs(0)->set_shape(1, 3);
  ExpectRefused(request, grpc::StatusCode::INVALID_ARGUMENT, "x");
  ExpectRefused(RunningService::Doubles(std::vector<float>(18)), grpc::StatusCode::INVALID_ARGUMENT,
                "wanted 1 to 8 rows, got 9");
}

TEST_F(InferHandlerTest, RefusesParametersOfTheRouter) {
  inference::ModelInferRequest request = RunningService::Doubles({1, 2});
  (*request.mutable_parameters())["penstock_energy_budget_j"].set_double_param(1);
  ExpectRefused(request, grpc::StatusCode::INVALID_ARGUMENT, "penstock_energy_budget_j");
}

TEST_F(InferHandlerTest, RefusesSequencesButNotTheAbsenceOfOne) {
  inference::ModelInferRequest request = RunningService::Doubles({1, 2});
  (*request.mutable_parameters())["sequence_id"].set_int64_param(0);
  EXPECT_TRUE(expert_.Infer(request).status.ok());
  (*request.mutable_parameters())["sequence_id"].set_string_param("");
  EXPECT_TRUE(expert_.Infer(request).status.ok());
  (*request.mutable_parameters())["sequence_id"].set_string_param("a");
  ExpectRefused(request, grpc::StatusCode::INVALID_ARGUMENT, "sequence_id");
}

TEST_F(InferHandlerTest, HonoursTritonsTimeout) {
  inference::ModelInferRequest request = RunningService::Doubles({1, 2});
  (*request.mutable_parameters())["timeout"].set_int64_param(1);  // a microsecond
  ExpectRefused(request, grpc::StatusCode::DEADLINE_EXCEEDED, "model doubles");
  (*request.mutable_parameters())["timeout"].set_int64_param(20'000'000);
  EXPECT_TRUE(expert_.Infer(request).status.ok());
  (*request.mutable_parameters())["timeout"].set_int64_param(-1);
  ExpectRefused(request, grpc::StatusCode::INVALID_ARGUMENT, "timeout");
  (*request.mutable_parameters())["timeout"].set_string_param("1");
  ExpectRefused(request, grpc::StatusCode::INVALID_ARGUMENT, "timeout");
}

TEST_F(InferHandlerTest, PassesOtherParametersBy) {
  inference::ModelInferRequest request = RunningService::Doubles({1, 2});
  (*request.mutable_parameters())["priority"].set_uint64_param(1);
  (*request.mutable_parameters())["mine"].set_string_param("x");
  EXPECT_TRUE(expert_.Infer(request).status.ok());
}

TEST_F(InferHandlerTest, IdentityReturnsBytesAndVariableShapes) {
  inference::ModelInferRequest request;
  request.set_model_name("echo");
  auto& a = *request.add_inputs();
  a.set_name("a");
  a.set_datatype("BYTES");
  a.add_shape(2);
  auto& b = *request.add_inputs();
  b.set_name("b");
  b.set_datatype("INT32");
  b.add_shape(1);
  b.add_shape(2);
  const std::string text("\x03\0\0\0abc\0\0\0\0", 11), numbers("\x01\0\0\0\xff\xff\xff\xff", 8);
  request.add_raw_input_contents(text);
  request.add_raw_input_contents(numbers);
  const auto answer = expert_.Infer(request);
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_THAT(answer.response.raw_output_contents(), ElementsAre(text, numbers));
  EXPECT_EQ(answer.response.outputs(0).name(), "c");
  EXPECT_THAT(answer.response.outputs(1).shape(), ElementsAre(1, 2));
}

TEST_F(InferHandlerTest, AnswersManyClientsEachWithTheirOwn) {
  std::vector<std::thread> clients;
  for (int client = 0; client < 8; ++client) {
    clients.emplace_back([&, client] {
      for (int i = 0; i < 50; ++i) {
        const float value = static_cast<float>(100 * client + i);
        const auto answer = expert_.Infer(RunningService::Doubles({value, 0}));
        ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
        EXPECT_THAT(Floats(answer.response.raw_output_contents(0)), ElementsAre(2 * value, 0));
      }
    });
  }
  for (std::thread& client : clients) client.join();
}

TEST_F(InferHandlerTest, ADrainAnswersEveryCallOnce) {
  struct Call {
    grpc::ClientContext context;
    inference::ModelInferRequest request = RunningService::Doubles({1, 2});
    inference::ModelInferResponse response;
    Notification done;
    grpc::Status status;
  };
  std::vector<std::unique_ptr<Call>> calls;
  for (int i = 0; i < 10; ++i) {
    calls.push_back(std::make_unique<Call>());
    Call* call = calls.back().get();
    expert_.oip->async()->ModelInfer(&call->context, &call->request, &call->response,
                                     [call](grpc::Status status) {
                                       call->status = std::move(status);
                                       call->done.Notify();
                                     });
  }
  ASSERT_TRUE(calls[0]->done.WaitWithTimeout(absl::Seconds(20)));
  expert_.service->Drain();
  for (const auto& call : calls) {
    ASSERT_TRUE(call->done.WaitWithTimeout(absl::Seconds(20)));
    // gRPC cancels calls that no handler had taken when the server shut down.
    EXPECT_TRUE(call->status.ok() || call->status.error_code() == grpc::StatusCode::CANCELLED ||
                call->status.error_code() == grpc::StatusCode::UNAVAILABLE)
        << call->status.error_message();
  }
  EXPECT_TRUE(calls[0]->status.ok()) << calls[0]->status.error_message();
}

}  // namespace
}  // namespace penstock::expert
