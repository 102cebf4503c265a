#include "gateway/gateway_metrics.h"

#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"

namespace penstock::gateway {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class GatewayMetricsTest : public ::testing::Test {
 protected:
  std::string Text() const { return prometheus::TextSerializer().Serialize(registry_.Collect()); }

  prometheus::Registry registry_;
  GatewayMetrics metrics_{registry_};
};

TEST_F(GatewayMetricsTest, DurationsAreByPoolAndCode) {
  metrics_.RequestAnswered("digits", absl::StatusCode::kOk, absl::Milliseconds(500));
  metrics_.RequestAnswered("digits", absl::StatusCode::kOk, absl::Milliseconds(250));
  metrics_.RequestAnswered("digits", absl::StatusCode::kDeadlineExceeded, absl::Seconds(2));
  const std::string text = Text();
  const std::string sum = "penstock_gateway_request_duration_seconds_sum{code=";
  EXPECT_THAT(text, HasSubstr(sum + "\"OK\",pool=\"digits\"} 0.75\n"));
  EXPECT_THAT(text, HasSubstr(sum + "\"DEADLINE_EXCEEDED\",pool=\"digits\"} 2\n"));
  EXPECT_THAT(text,
              HasSubstr("penstock_gateway_requests_total{code=\"OK\",pool=\"digits\"} 2\n"));
}

TEST_F(GatewayMetricsTest, DeadlinesAndShedsAreByPoolOnceItHasAnswered) {
  metrics_.Shed("digits", ShedReason::kQueueFull);
  metrics_.DeadlineEnded("digits", false);
  EXPECT_THAT(Text(), Not(HasSubstr("digits")));
  metrics_.RequestAnswered("digits", absl::StatusCode::kOk, absl::Milliseconds(1));
  metrics_.DeadlineEnded("digits", true);
  metrics_.DeadlineEnded("digits", true);
  metrics_.Shed("digits", ShedReason::kNoTime);
  EXPECT_THAT(
      Text(),
      AllOf(HasSubstr("penstock_gateway_sheds_total{pool=\"other\",reason=\"queue_full\"} 1\n"),
            HasSubstr("penstock_gateway_sheds_total{pool=\"digits\",reason=\"no_time\"} 1\n"),
            HasSubstr("penstock_gateway_deadlines_total{pool=\"other\",result=\"missed\"} 1\n"),
            HasSubstr("penstock_gateway_deadlines_total{pool=\"digits\",result=\"met\"} 2\n")));
}

TEST_F(GatewayMetricsTest, BeyondAHundredPoolsTheOthersAreOne) {
  for (int i = 0; i < 120; ++i) {
    metrics_.RequestAnswered(absl::StrCat("p", i), absl::StatusCode::kOk, absl::Milliseconds(1));
    metrics_.Shed(absl::StrCat("p", i), ShedReason::kQuota);
  }
  EXPECT_THAT(
      Text(),
      AllOf(HasSubstr("penstock_gateway_sheds_total{pool=\"p99\",reason=\"quota\"} 1\n"),
            HasSubstr("penstock_gateway_sheds_total{pool=\"other\",reason=\"quota\"} 20\n"),
            HasSubstr("penstock_gateway_requests_total{code=\"OK\",pool=\"other\"} 20\n"),
            Not(HasSubstr("\"p100\""))));
}

TEST_F(GatewayMetricsTest, WhatTheCacheDidIsByPool) {
  metrics_.Answered("kept", CacheObserver::Source::kLocal);
  metrics_.Answered("kept", CacheObserver::Source::kLocal);
  metrics_.Ran("kept", CacheObserver::Outcome::kKept);
  metrics_.LimitChanged("kept", 7);
  metrics_.LimitChanged("kept", 9);
  EXPECT_THAT(
      Text(),
      AllOf(HasSubstr("penstock_gateway_cache_requests_total{pool=\"kept\",source=\"local\"} 2\n"),
            HasSubstr("penstock_gateway_cache_runs_total{outcome=\"kept\",pool=\"kept\"} 1\n"),
            HasSubstr("penstock_gateway_concurrency_limit{pool=\"kept\"} 9\n")));
}

}  // namespace
}  // namespace penstock::gateway
