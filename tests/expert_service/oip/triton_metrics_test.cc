#include "expert_service/triton_metrics.h"

#include "absl/strings/str_cat.h"
#include "expert_service/served_metrics.h"
#include "gmock/gmock.h"
#include "tests/expert_service/models/test_models.h"
#include "tests/expert_service/oip/running_service.h"
#include "tests/expert_service/oip/served_models.h"

namespace penstock::expert {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class TritonMetricsTest : public ::testing::Test {
 protected:
  std::string Tell() {
    return Text(TritonMetrics(*models_.executor, *models_.repository, nullptr,
                              std::make_unique<HostUsage>(models_.clock)));
  }

  ServedModels models_;
};

TEST_F(TritonMetricsTest, TellsOfEachVersionWhatTheStatisticsHave) {
  ModelStatistics& statistics = models_.executor->statistics(*models_.Find("a", "2"));
  const auto us = [](int count) { return absl::Microseconds(count); };
  statistics.Succeeded(3, {us(100), us(20), us(5), us(60), us(7)}, models_.clock.Now());
  statistics.Succeeded(2, {us(50), us(10), us(1), us(30), us(3)}, models_.clock.Now());
  statistics.Executed(5, us(60));
  const std::string text = Tell();
  for (const char* line :
       {"nv_inference_request_success{model=\"a\",version=\"2\"} 2\n",
        "nv_inference_request_success{model=\"a\",version=\"1\"} 0\n",
        "nv_inference_count{model=\"a\",version=\"2\"} 5\n",
        "nv_inference_exec_count{model=\"a\",version=\"2\"} 1\n",
        "nv_inference_request_duration_us{model=\"a\",version=\"2\"} 150\n",
        "nv_inference_queue_duration_us{model=\"a\",version=\"2\"} 30\n",
        "nv_inference_compute_input_duration_us{model=\"a\",version=\"2\"} 6\n",
        "nv_inference_compute_infer_duration_us{model=\"a\",version=\"2\"} 90\n",
        "nv_inference_compute_output_duration_us{model=\"a\",version=\"2\"} 10\n",
        "nv_model_load_duration_secs{model=\"a\",version=\"2\"} 0\n",
        "# TYPE nv_inference_count counter\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST_F(TritonMetricsTest, FailuresAreSplitByWhy) {
  ModelStatistics& statistics = models_.executor->statistics(*models_.Find("b"));
  const auto fail = [&](ModelStatistics::Failure why, int times) {
    for (int i = 0; i < times; ++i) statistics.Failed(absl::Milliseconds(1), why);
  };
  fail(ModelStatistics::Failure::kRejected, 4);
  fail(ModelStatistics::Failure::kBroken, 2);
  fail(ModelStatistics::Failure::kOther, 1);
  statistics.Cancelled(absl::Milliseconds(1));
  const std::string text = Tell();
  const std::string of = "nv_inference_request_failure{model=\"b\",version=\"1\",reason=";
  EXPECT_THAT(text, HasSubstr(of + "\"REJECTED\"} 4\n"));
  EXPECT_THAT(text, HasSubstr(of + "\"BACKEND\"} 2\n"));
  EXPECT_THAT(text, HasSubstr(of + "\"OTHER\"} 1\n"));
  EXPECT_THAT(text, HasSubstr(of + "\"CANCELED\"} 1\n"));
}

TEST_F(TritonMetricsTest, WhatWaitsIsOfItsVersionAndLeavesWithIt) {
  models_.Submit("a", "1");
  models_.Submit("b");
  models_.Submit("b");
  const std::string of = "nv_inference_pending_request_count{model=";
  EXPECT_THAT(Tell(), AllOf(HasSubstr(of + "\"a\",version=\"1\"} 1\n"),
                            HasSubstr(of + "\"a\",version=\"2\"} 0\n"),
                            HasSubstr(of + "\"b\",version=\"1\"} 2\n")));
  models_.Unload("a");
  models_.executor->Stop();
  models_.executor->Sweep();
  EXPECT_THAT(Tell(), Not(HasSubstr("model=\"a\"")));
}

TEST_F(TritonMetricsTest, TellsTheMachineAndNoGpuWhereThereIsNone) {
  EXPECT_THAT(Tell(), AllOf(HasSubstr("nv_cpu_memory_total_bytes "), Not(HasSubstr("nv_gpu_")),
                            Not(HasSubstr("nv_energy_consumption"))));
}

TEST(ManyModelsTest, LabelsAreCapped) {
  std::vector<std::shared_ptr<const Model>> models;
  for (int i = 0; i < 1003; ++i) {
    ASSERT_OK_AND_ASSIGN(auto model,
                         MakeModel("inputs { name: 'x' datatype: 'FP32' shape: 1 } "
                                   "outputs { name: 'y' datatype: 'FP32' shape: 1 } "
                                   "blocks { identity {} }",
                                   {}, absl::StrCat("m", i)));
    models.push_back(std::move(model));
  }
  ASSERT_OK_AND_ASSIGN(auto repository, ModelRepository::Of(std::move(models)));
  LiveRepository live(std::move(repository));
  FakeClock clock;
  ExpertEvents events;
  EnergyMeter meter({}, nullptr, clock.Now());
  const Executor executor({1, 0, {}}, *live.Get(), meter, clock, events);
  const auto samples = [](const prometheus::Collectable& of, const std::string& name) {
    for (const prometheus::MetricFamily& family : of.Collect()) {
      if (family.name == name) return family.metric;
    }
    return std::vector<prometheus::ClientMetric>();
  };
  const TritonMetrics triton(executor, live, nullptr, std::make_unique<HostUsage>(clock));
  EXPECT_EQ(samples(triton, "nv_inference_count").size(), TritonMetrics::kMostVersions);
  const ServedMetrics served(executor, live, {});
  // One more for "other".
  EXPECT_EQ(samples(served, "penstock_expert_weights_bytes").size(),
            ServedMetrics::kMostModels + 1);
}

// Through the service: what becomes of a request decides under which reason it is told.
TEST(ServiceTritonMetricsTest, RequestsAreTold) {
  RunningService expert;
  EXPECT_TRUE(expert.Infer(RunningService::Doubles({1, 2, 3, 4})).status.ok());
  inference::ModelInferRequest late = RunningService::Doubles({1, 2});
  (*late.mutable_parameters())["timeout"].set_int64_param(1);  // a microsecond
  EXPECT_FALSE(expert.Infer(late).status.ok());
  inference::ModelInferRequest wrong = RunningService::Doubles({1, 2});
  wrong.mutable_inputs(0)->set_name("w");
  EXPECT_FALSE(expert.Infer(wrong).status.ok());
  const std::string text = Text(*expert.registry);
  for (const char* line :
       {"nv_inference_request_success{model=\"doubles\",version=\"1\"} 1\n",
        "nv_inference_count{model=\"doubles\",version=\"1\"} 2\n",
        "nv_inference_request_failure{model=\"doubles\",version=\"1\",reason=\"REJECTED\"} 1\n",
        "nv_inference_request_failure{model=\"doubles\",version=\"1\",reason=\"OTHER\"} 1\n",
        "nv_inference_request_failure{model=\"doubles\",version=\"1\",reason=\"BACKEND\"} 0\n",
        "penstock_expert_queue_wait_seconds_count{model=\"doubles\"} 1\n",
        "penstock:num_requests_waiting 0\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
  // Reading, packing and warming up took time.
  EXPECT_THAT(
      text, Not(HasSubstr("nv_model_load_duration_secs{model=\"doubles\",version=\"1\"} 0\n")));
}

}  // namespace
}  // namespace penstock::expert
