#include "common/tracing/tracing_options.h"

#include <cmath>
#include <functional>
#include <limits>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace penstock {
namespace {

using testing::HasSubstr;

config::v1::Tracing WithCollector() {
  config::v1::Tracing config;
  config.mutable_collector()->set_address("collector:4317");
  return config;
}

TEST(TracingOptionsTest, IsOffWithoutACollector) {
  const auto options = TracingOptions::Read({});
  ASSERT_TRUE(options.ok());
  EXPECT_FALSE(options->on);
}

TEST(TracingOptionsTest, HasTheDefaultsOfTheSchema) {
  const auto options = TracingOptions::Read(WithCollector());
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_TRUE(options->on);
  EXPECT_EQ(options->sample_share, 0.01);
  EXPECT_EQ(options->max_per_second, 100);
  EXPECT_EQ(options->batches.max_queue, 4096u);
  EXPECT_EQ(options->batches.max_batch, 512u);
  EXPECT_EQ(options->batches.max_delay, absl::Seconds(1));
  EXPECT_EQ(options->timeout, absl::Seconds(5));
}

TEST(TracingOptionsTest, TakesTheEndsOfItsRanges) {
  config::v1::Tracing config = WithCollector();
  config.set_sample_share(1);
  config.set_max_per_second(100'000);
  config.set_max_queue(1'000'000);
  config.set_max_batch(4096);
  config.mutable_max_delay()->set_nanos(10'000'000);
  config.mutable_timeout()->set_seconds(60);
  EXPECT_TRUE(TracingOptions::Read(config).ok());
}

struct WrongField {
  std::string field;
  std::function<void(config::v1::Tracing&)> spoil;
};

class WrongFieldTest : public testing::TestWithParam<WrongField> {};

TEST_P(WrongFieldTest, IsNamed) {
  config::v1::Tracing config = WithCollector();
  GetParam().spoil(config);
  EXPECT_THAT(TracingOptions::Read(config).status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("server.tracing." + GetParam().field + ": ")));
}

using Config = config::v1::Tracing;

INSTANTIATE_TEST_SUITE_P(
    TracingOptions, WrongFieldTest,
    testing::Values(
        WrongField{"collector.address", [](Config& c) { c.mutable_collector()->clear_address(); }},
        WrongField{"collector.address",
                   [](Config& c) { c.mutable_collector()->set_address("inprocess:expert"); }},
        WrongField{"sample_share", [](Config& c) { c.set_sample_share(-0.1); }},
        WrongField{"sample_share", [](Config& c) { c.set_sample_share(1.1); }},
        WrongField{"sample_share", [](Config& c) { c.set_sample_share(std::nan("")); }},
        WrongField{"max_per_second", [](Config& c) { c.set_max_per_second(0); }},
        WrongField{
            "max_per_second",
            [](Config& c) { c.set_max_per_second(std::numeric_limits<double>::infinity()); }},
        WrongField{"max_queue", [](Config& c) { c.set_max_queue(0); }},
        WrongField{"max_queue", [](Config& c) { c.set_max_queue(1'000'001); }},
        WrongField{"max_batch", [](Config& c) { c.set_max_batch(4097); }},
        WrongField{"max_delay", [](Config& c) { c.mutable_max_delay()->set_seconds(61); }},
        WrongField{"max_delay", [](Config& c) { c.mutable_max_delay(); }},
        WrongField{"timeout", [](Config& c) { c.mutable_timeout()->set_seconds(-1); }}));

}  // namespace
}  // namespace penstock
