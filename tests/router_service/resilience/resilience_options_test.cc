#include "router_service/resilience/resilience_options.h"

#include <limits>

#include "absl/strings/str_cat.h"
#include "common/config/yaml_config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace penstock::router {
namespace {

using absl::StatusCode;
using ::testing::HasSubstr;

absl::StatusOr<ResilienceOptions> Read(const std::string& resilience) {
  config::v1::Router config;
  const absl::Status read =
      ReadYaml(absl::StrCat("pools: [{name: digits, resilience: ", resilience, "}]\n"), config);
  if (!read.ok()) return read;
  return ReadResilience(config.pools(0));
}

TEST(ResilienceOptionsTest, UnsetAllIsOnWithItsDefaults) {
  ASSERT_OK_AND_ASSIGN(const ResilienceOptions options, Read("{}"));
  EXPECT_FALSE(options.breaker.off);
  EXPECT_FALSE(options.ejection.off);
  EXPECT_EQ(options.breaker.consecutive_failures, 5u);
  EXPECT_EQ(options.breaker.failure_rate, 0.5);
  EXPECT_EQ(options.breaker.open_time, absl::Seconds(1));
  EXPECT_EQ(options.breaker.max_open_time, absl::Seconds(30));
  EXPECT_EQ(options.breaker.probes, 2u);
  EXPECT_EQ(options.breaker.probe_interval, absl::Milliseconds(100));
  EXPECT_EQ(options.probe_timeout, absl::Seconds(1));
  EXPECT_EQ(options.ejection.max_share, 0.5);
  EXPECT_EQ(options.ejection.success_gap, 0.2);
  EXPECT_EQ(options.ejection.latency_ratio, 5);
  EXPECT_EQ(options.ejection.ejection_time, absl::Seconds(10));
  EXPECT_EQ(options.ejection.max_ejection_time, absl::Minutes(2));
  EXPECT_EQ(options.retries.share, 0.1);
  EXPECT_EQ(options.retries.min_per_second, 10);
  EXPECT_EQ(options.breaker.window, absl::Seconds(10));
  EXPECT_EQ(options.breaker.min_requests, 20u);
}

TEST(ResilienceOptionsTest, WindowAndCountAreForBreakersAndEjection) {
  ASSERT_OK_AND_ASSIGN(const ResilienceOptions options, Read("{window: 3s, min_requests: 7}"));
  EXPECT_EQ(options.breaker.window, absl::Seconds(3));
  EXPECT_EQ(options.ejection.window, absl::Seconds(3));
  EXPECT_EQ(options.breaker.min_requests, 7u);
  EXPECT_EQ(options.ejection.min_requests, 7u);
}

TEST(ResilienceOptionsTest, ALongOpenTimeRaisesTheUnsetBound) {
  ASSERT_OK_AND_ASSIGN(const ResilienceOptions options,
                       Read("{breaker: {open_time: 60s}, ejection: {ejection_time: 300s}}"));
  EXPECT_EQ(options.breaker.max_open_time, absl::Seconds(60));
  EXPECT_EQ(options.ejection.max_ejection_time, absl::Seconds(300));
}

TEST(ResilienceOptionsTest, BoundsThemselvesAreTaken) {
  for (const char* good :
       {"{window: 1s, min_requests: 5}", "{window: 600s, min_requests: 100000}",
        "{breaker: {failure_rate: 1, consecutive_failures: 1, probes: 100}}",
        "{breaker: {open_time: 0.05s, max_open_time: 0.05s, probe_interval: 0.01s}}",
        "{ejection: {max_share: 0, latency_ratio: 1.5}}", "{ejection: {max_share: 1}}",
        "{retries: {share: 0, min_per_second: 0}}", "{retries: {share: 1}}"}) {
    EXPECT_THAT(Read(good).status(), IsOk()) << good;
  }
}

TEST(ResilienceOptionsTest, WhatIsOutOfBoundsIsNamed) {
  const std::pair<const char*, const char*> refused[] = {
      {"{window: 0.9s}", "resilience.window is 900ms, wanted [1s, 10m]"},
      {"{min_requests: 4}", "resilience.min_requests is 4, wanted [5, 100000]"},
      {"{breaker: {consecutive_failures: 0}}",
       "resilience.breaker.consecutive_failures is 0, wanted [1, 1000]"},
      {"{breaker: {failure_rate: 0}}", "resilience.breaker.failure_rate is 0, wanted (0, 1]"},
      {"{breaker: {failure_rate: 1.5}}", "resilience.breaker.failure_rate is 1.5, wanted (0, 1]"},
      {"{breaker: {open_time: 61s}}", "resilience.breaker.open_time is 1m1s, wanted [50ms, 1m]"},
      {"{breaker: {open_time: 2s, max_open_time: 1s}}",
       "resilience.breaker.max_open_time is 1s, wanted [2s, 10m]"},
      {"{breaker: {probes: 101}}", "resilience.breaker.probes is 101, wanted [1, 100]"},
      {"{breaker: {probe_interval: 0s}}",
       "resilience.breaker.probe_interval is 0, wanted [10ms, 10s]"},
      {"{breaker: {probe_timeout: 11s}}",
       "resilience.breaker.probe_timeout is 11s, wanted [10ms, 10s]"},
      {"{ejection: {max_share: 1.1}}", "resilience.ejection.max_share is 1.1, wanted [0, 1]"},
      {"{ejection: {success_gap: 0}}", "resilience.ejection.success_gap is 0, wanted (0, 1]"},
      {"{ejection: {latency_ratio: 1}}",
       "resilience.ejection.latency_ratio is 1, wanted [1.5, 1000]"},
      {"{ejection: {ejection_time: 0.09s}}",
       "resilience.ejection.ejection_time is 90ms, wanted [100ms, 10m]"},
      {"{ejection: {max_ejection_time: 9s}}",
       "resilience.ejection.max_ejection_time is 9s, wanted [10s, 1h]"},
      {"{retries: {share: -0.1}}", "resilience.retries.share is -0.1, wanted [0, 1]"},
      {"{retries: {min_per_second: 1e6}}",
       "resilience.retries.min_per_second is 1e+06, wanted [0, 100000]"},
  };
  for (const auto& [config, message] : refused) {
    EXPECT_THAT(Read(config).status(), StatusIs(StatusCode::kInvalidArgument,
                                                HasSubstr(absl::StrCat("pool digits: ", message))))
        << config;
  }
}

TEST(ResilienceOptionsTest, WhatIsNoNumberIsRefused) {
  config::v1::Pool pool;
  pool.mutable_resilience()->mutable_breaker()->set_failure_rate(
      std::numeric_limits<double>::quiet_NaN());
  EXPECT_THAT(ReadResilience(pool).status(),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("failure_rate is nan")));
}

}  // namespace
}  // namespace penstock::router
