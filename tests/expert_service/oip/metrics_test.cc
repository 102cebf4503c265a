#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include "expert_service/expert_metrics.h"
#include "gmock/gmock.h"

namespace penstock::expert {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string Text(const prometheus::Registry& registry) {
  return prometheus::TextSerializer().Serialize(registry.Collect());
}

TEST(ExpertMetricsTest, CountsRequestsByModelAndCode) {
  prometheus::Registry registry;
  ExpertMetrics metrics(registry, {"a", "b"});
  metrics.RequestAnswered("a", absl::StatusCode::kOk, absl::Milliseconds(2));
  metrics.RequestAnswered("a", absl::StatusCode::kOk, absl::Milliseconds(2));
  metrics.RequestAnswered("b", absl::StatusCode::kDeadlineExceeded, absl::Milliseconds(2));
  const std::string text = Text(registry);
  EXPECT_THAT(text, HasSubstr("penstock_expert_requests_total{code=\"OK\",model=\"a\"} 2"));
  EXPECT_THAT(
      text, HasSubstr("penstock_expert_requests_total{code=\"DEADLINE_EXCEEDED\",model=\"b\"} 1"));
  EXPECT_THAT(text, HasSubstr("penstock_expert_request_duration_seconds_count{code=\"OK\","
                              "model=\"a\"} 2"));
  EXPECT_THAT(text, HasSubstr("penstock_expert_request_duration_seconds_count{code=\""
                              "DEADLINE_EXCEEDED\",model=\"b\"} 1"));
}

TEST(ExpertMetricsTest, FoldsNamesThatClientsMadeUp) {
  prometheus::Registry registry;
  ExpertMetrics metrics(registry, {"a"});
  metrics.RequestAnswered("made-up", absl::StatusCode::kNotFound, absl::Milliseconds(1));
  EXPECT_THAT(Text(registry), HasSubstr("model=\"other\"} 1"));
  EXPECT_THAT(Text(registry), Not(HasSubstr("made-up")));
}

TEST(ExpertMetricsTest, CountsWhatBlocksTookByKind) {
  prometheus::Registry registry;
  ExpertMetrics metrics(registry, {"a"});
  using config::v1::Block;
  const std::vector<BlockCost> blocks = {{Block::kMoe, absl::Milliseconds(250), 1000},
                                         {Block::kLinear, absl::Milliseconds(125), 10},
                                         {Block::kMoe, absl::Milliseconds(250), 2000}};
  metrics.BlocksExecuted(blocks);
  metrics.BlocksExecuted(blocks);
  const std::string text = Text(registry);
  EXPECT_THAT(text, HasSubstr("penstock_expert_kernel_seconds_total{block=\"moe\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("penstock_expert_kernel_bytes_total{block=\"moe\"} 6000\n"));
  EXPECT_THAT(text, HasSubstr("penstock_expert_kernel_seconds_total{block=\"linear\"} 0.25\n"));
  EXPECT_THAT(text, HasSubstr("penstock_expert_kernel_bytes_total{block=\"gmu\"} 0\n"));
}

TEST(ExpertMetricsTest, HasACounterForEveryKindOfBlock) {
  prometheus::Registry registry;
  ExpertMetrics metrics(registry, {});
  const auto* oneof = config::v1::Block::descriptor()->FindOneofByName("kind");
  for (int i = 0; i < oneof->field_count(); ++i) {
    const std::string& kind = oneof->field(i)->name();
    if (kind == "identity") continue;  // runs no kernel
    metrics.BlocksExecuted(std::vector<BlockCost>{
        {static_cast<config::v1::Block::KindCase>(oneof->field(i)->number()),
         absl::Milliseconds(500), 7}});
    EXPECT_THAT(Text(registry), HasSubstr("penstock_expert_kernel_bytes_total{block=\"" + kind +
                                          "\"} 7\n"));
  }
}

TEST(ExpertMetricsTest, ShowsBatchesLoadAndJoules) {
  prometheus::Registry registry;
  ExpertMetrics metrics(registry, {"a"});
  metrics.BatchExecuted("a", 3, 2, absl::Milliseconds(1), absl::Microseconds(900));
  metrics.RowsEnded("a", 3, 2);
  metrics.RowsEnded("a", 3, 5);
  metrics.RequestExecuted("a", absl::Milliseconds(30), 0.25);
  const absl::Time start = absl::FromUnixSeconds(1'000'000);
  EnergyMeter meter({absl::Seconds(1), 10.0}, nullptr, start);
  meter.End(meter.Begin({{0, 2}}, start), start + absl::Milliseconds(5));
  meter.Sample(start + absl::Seconds(1));
  metrics.Refresh({.in_flight = 5, .queue_depth = 4, .utilization = 0.5}, meter, {"a"});
  const std::string text = Text(registry);
  EXPECT_THAT(text, HasSubstr("penstock_expert_batch_rows_sum{model=\"a\"} 3"));
  EXPECT_THAT(text, HasSubstr("penstock_expert_queue_wait_seconds_sum{model=\"a\"} 0.03"));
  EXPECT_THAT(text, HasSubstr("penstock_expert_rows_ended_total{block=\"3\",model=\"a\"} 7"));
  EXPECT_THAT(text, HasSubstr("penstock_expert_compute_cpu_seconds_total{model=\"a\"} 0.0009"));
  EXPECT_THAT(text, HasSubstr("penstock_expert_reported_joules_total{model=\"a\"} 0.25"));
  EXPECT_THAT(text, HasSubstr("penstock_expert_active_joules_total{model=\"a\"} 2"));
  EXPECT_THAT(text, HasSubstr("penstock_expert_idle_joules_total 10"));
  EXPECT_THAT(text, HasSubstr("penstock_expert_watts 12"));
  EXPECT_THAT(text, HasSubstr("penstock_expert_queue_depth 4"));
  EXPECT_THAT(text, HasSubstr("penstock_expert_in_flight 5"));
  EXPECT_THAT(text, HasSubstr("penstock_expert_energy_counted 0"));
}

}  // namespace
}  // namespace penstock::expert
