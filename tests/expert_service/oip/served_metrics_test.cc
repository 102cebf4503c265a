#include "expert_service/served_metrics.h"

#include "absl/strings/str_cat.h"
#include "common/metrics/service_registry.h"
#include "gmock/gmock.h"
#include "tests/expert_service/oip/served_models.h"

namespace penstock::expert {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class ServedMetricsTest : public ::testing::Test {
 protected:
  std::string Tell() { return Text(ServedMetrics(*models_.executor, *models_.repository, names_)); }

  ServedModels models_;
  config::v1::ModelServerGauges names_;
};

TEST_F(ServedMetricsTest, WeightsAreOfAllVersionsUntilTheyAreUnloaded) {
  const size_t bytes = models_.Find("b")->resident_bytes();
  EXPECT_THAT(Tell(), AllOf(HasSubstr(absl::StrCat("penstock_expert_weights_bytes{model=\"a\"} ",
                                                   2 * bytes, "\n")),
                            HasSubstr(absl::StrCat("penstock_expert_weights_bytes{model=\"b\"} ",
                                                   bytes, "\n"))));
  models_.Unload("b");
  EXPECT_THAT(Tell(), Not(HasSubstr("model=\"b\"")));
}

TEST_F(ServedMetricsTest, LoadsAreTimed) {
  EXPECT_THAT(Tell(), HasSubstr("penstock_expert_model_load_duration_seconds{model=\"a\"} 0\n"));
}

TEST_F(ServedMetricsTest, GaugesAreWhatWaitsAsItIsScraped) {
  const ServedMetrics metrics(*models_.executor, *models_.repository, names_);
  EXPECT_THAT(Text(metrics), HasSubstr("penstock:num_requests_waiting 0\n"));
  models_.Submit("a");
  models_.Submit("b");
  EXPECT_THAT(Text(metrics), AllOf(HasSubstr("penstock:num_requests_waiting 2\n"),
                                   HasSubstr("penstock:num_requests_running 0\n")));
}

TEST_F(ServedMetricsTest, GaugesHaveTheNamesOfTheConfiguration) {
  names_.set_waiting("vllm:num_requests_waiting");
  models_.Submit("a");
  EXPECT_THAT(Tell(), AllOf(HasSubstr("# TYPE vllm:num_requests_waiting gauge\n"),
                            HasSubstr("vllm:num_requests_waiting 1\n"),
                            HasSubstr("penstock:num_requests_running 0\n"),
                            Not(HasSubstr("penstock:num_requests_waiting"))));
}

TEST_F(ServedMetricsTest, NamesAreCheckedByField) {
  const auto checked = [](const std::string& waiting, const std::string& running) {
    config::v1::ModelServerGauges names;
    names.set_waiting(waiting);
    names.set_running(running);
    return ServedMetrics::Check(names);
  };
  EXPECT_THAT(checked("", ""), IsOk());
  EXPECT_THAT(checked("tgi_queue_size", "_x:9"), IsOk());
  for (const char* bad : {"9waiting", "num-waiting", "with blank", "\xc3\xa4"}) {
    EXPECT_THAT(checked(bad, ""),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("model_server_gauges.waiting: wanted [a-zA-Z")))
        << bad;
  }
  EXPECT_THAT(checked("", "penstock_expert_queue_depth"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("model_server_gauges.running: wanted a name that no other")));
  EXPECT_THAT(checked("nv_inference_count", ""), StatusIs(absl::StatusCode::kInvalidArgument,
                                                          HasSubstr("gauges.waiting")));
  EXPECT_THAT(checked("same", "same"), StatusIs(absl::StatusCode::kInvalidArgument,
                                                HasSubstr("model_server_gauges.running")));
  EXPECT_THAT(checked("", "penstock:num_requests_waiting"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("for both")));
}

TEST_F(ServedMetricsTest, ARegistryAsksThemWhileTheirPlaceLasts) {
  ServiceRegistry registry;
  const ServedMetrics metrics(*models_.executor, *models_.repository, names_);
  {
    const ServiceRegistry::Place place(registry, metrics);
    EXPECT_THAT(Text(registry), HasSubstr("penstock:num_requests_waiting 0\n"));
  }
  EXPECT_EQ(Text(registry), "");
}

}  // namespace
}  // namespace penstock::expert
