#include "expert_service/metering/counter_tracker.h"
#include "expert_service/metering/metering_factory.h"
#include "expert_service/metering/nvml_counter.h"
#include "expert_service/metering/rapl_counter.h"
#include "gmock/gmock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace penstock::expert {
namespace {

using ::testing::HasSubstr;

const absl::Time kStart = absl::FromUnixSeconds(1'000'000);
constexpr uint64_t kRange = 65'532'610'987;  // a package's max_energy_range_uj

TEST(CounterTrackerTest, TheFirstReadingIsTheOrigin) {
  CounterTracker tracker;
  EXPECT_EQ(tracker.Update({5'000'000, kRange}, kStart).joules, 0);
  EXPECT_DOUBLE_EQ(tracker.Update({7'500'000, kRange}, kStart + absl::Seconds(1)).joules, 2.5);
}

TEST(CounterTrackerTest, FollowsAWrap) {
  CounterTracker tracker;
  tracker.Update({kRange - 1'000'000, kRange}, kStart);
  const auto step = tracker.Update({2'000'000, kRange}, kStart + absl::Milliseconds(100));
  EXPECT_DOUBLE_EQ(step.joules, 3);
  EXPECT_FALSE(step.reset);
}

TEST(CounterTrackerTest, TakesAStepBackWithoutRangeForAReset) {
  CounterTracker tracker;
  tracker.Update({900'000'000, 0}, kStart);
  const auto step = tracker.Update({1'000'000, 0}, kStart + absl::Milliseconds(100));
  EXPECT_TRUE(step.reset);
  EXPECT_EQ(step.joules, 0);
  EXPECT_DOUBLE_EQ(tracker.Update({3'000'000, 0}, kStart + absl::Milliseconds(200)).joules, 2);
}

TEST(CounterTrackerTest, TakesAnImplausibleWrapForAReset) {
  CounterTracker tracker;
  tracker.Update({kRange / 4, kRange}, kStart);
  const auto step = tracker.Update({0, kRange}, kStart + absl::Milliseconds(100));
  EXPECT_TRUE(step.reset);
  EXPECT_EQ(step.joules, 0);
}

TEST(CounterTrackerTest, StallsAfterFiveSecondsWithoutAStep) {
  CounterTracker tracker;
  tracker.Update({1, kRange}, kStart);
  tracker.Update({1, kRange}, kStart + absl::Seconds(5));
  EXPECT_FALSE(tracker.stalled());
  tracker.Update({1, kRange}, kStart + absl::Seconds(5.1));
  EXPECT_TRUE(tracker.stalled());
  const auto step = tracker.Update({9'000'001, kRange}, kStart + absl::Seconds(6));
  EXPECT_TRUE(step.resumed);
  EXPECT_EQ(step.joules, 0);
  EXPECT_FALSE(tracker.stalled());
}

class RaplCounterTest : public ::testing::Test {
 protected:
  void Zone(const std::string& folder, const std::string& name, const std::string& energy) {
    root_.Write(folder + "/name", name + "\n");
    root_.Write(folder + "/energy_uj", energy + "\n");
    root_.Write(folder + "/max_energy_range_uj", "65532610987\n");
  }
  TempDir root_;
};

TEST_F(RaplCounterTest, ReadsPackagesOnly) {
  Zone("intel-rapl:0", "package-0", "111");
  Zone("intel-rapl:0:0", "core", "99");
  Zone("intel-rapl:1", "package-1", "222");
  Zone("intel-rapl:2", "psys", "999");
  Zone("intel-rapl-mmio:0", "package-0", "111");
  ASSERT_OK_AND_ASSIGN(const auto counter, RaplCounter::Open(root_.path()));
  EXPECT_EQ(counter->description(), "rapl package-0+package-1");
  ASSERT_OK_AND_ASSIGN(auto readings, counter->Read());
  ASSERT_EQ(readings.size(), 2u);
  EXPECT_EQ(readings[0].microjoules + readings[1].microjoules, 333u);
  EXPECT_EQ(readings[0].range_microjoules, kRange);
  Zone("intel-rapl:1", "package-1", "333");
  ASSERT_OK_AND_ASSIGN(readings, counter->Read());
  EXPECT_EQ(readings[0].microjoules + readings[1].microjoules, 444u);
}

TEST_F(RaplCounterTest, SaysWhyThereIsNone) {
  EXPECT_THAT(RaplCounter::Open(root_.File("absent")), StatusIs(absl::StatusCode::kNotFound));
  Zone("intel-rapl:0", "psys", "1");
  EXPECT_THAT(RaplCounter::Open(root_.path()),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("no package zone")));
  Zone("intel-rapl:1", "package-0", "nonsense");
  EXPECT_THAT(RaplCounter::Open(root_.path()),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("nonsense")));
}

TEST(NvmlCounterTest, ReadsEveryGpuOrSaysWhyNot) {
  const auto counter = NvmlCounter::Open();
  if (!counter.ok()) GTEST_SKIP() << counter.status();
  ASSERT_OK_AND_ASSIGN(const auto first, (*counter)->Read());
  ASSERT_OK_AND_ASSIGN(const auto second, (*counter)->Read());
  ASSERT_EQ(first.size(), second.size());
  for (size_t i = 0; i < first.size(); ++i) {
    EXPECT_GT(first[i].microjoules, 0u);
    EXPECT_GE(second[i].microjoules, first[i].microjoules);
  }
}

TEST(MeteringFactoryTest, ChecksTheFields) {
  config::v1::Metering config;
  EXPECT_THAT(CheckMetering(config), IsOk());
  config.set_joules_per_flop(-1);
  EXPECT_THAT(CheckMetering(config),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("metering.joules_per_flop")));
  config.set_joules_per_flop(1e-10);
  config.mutable_window()->set_nanos(1000);
  EXPECT_THAT(CheckMetering(config),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("metering.window")));
}

TEST(MeteringFactoryTest, TakesCoefficientsFromTheConfiguration) {
  config::v1::Metering config;
  config.set_joules_per_request(1);
  config.set_joules_per_flop(0.5);
  config.set_joules_per_byte(0.25);
  EXPECT_DOUBLE_EQ(MakeEnergyModel(config).Joules(10, 100), 1 + 5 + 25);
}

}  // namespace
}  // namespace penstock::expert
