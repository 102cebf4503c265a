#include "expert_service/metering/host_usage.h"

#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

namespace penstock::expert {
namespace {

class HostUsageTest : public ::testing::Test {
 protected:
  FakeClock clock_;
  TempDir proc_;
};

TEST_F(HostUsageTest, ReadsMemoryThatNobodyCouldHave) {
  proc_.Write("meminfo", "MemTotal:  1000 kB\nMemFree:  100 kB\nMemAvailable:  400 kB\nX: 7\n");
  const HostUsage::Reading reading = HostUsage(clock_, proc_.path()).Read();
  EXPECT_EQ(reading.memory_total_bytes, 1000u * 1024);
  EXPECT_EQ(reading.memory_used_bytes, 600u * 1024);
}

TEST_F(HostUsageTest, TheCpusShareIsOfTheTimeSinceItWasLastRead) {
  proc_.Write("stat", "cpu 100 0 100 700 100 0 0 0 50 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n");
  HostUsage usage(clock_, proc_.path());
  // 60 of 100 ticks busy; waiting for a disk is idle, and a guest's ticks are in user's.
  proc_.Write("stat", "cpu 140 0 110 730 110 5 5 0 90 0\n");
  EXPECT_FALSE(usage.Read().cpu.has_value());
  clock_.Advance(HostUsage::kMinPeriod);
  EXPECT_DOUBLE_EQ(usage.Read().cpu.value(), 0.6);
  proc_.Write("stat", "cpu 140 0 110 830 110 5 5 0 90 0\n");
  clock_.Advance(HostUsage::kMinPeriod / 2);
  EXPECT_DOUBLE_EQ(usage.Read().cpu.value(), 0.6);
  clock_.Advance(HostUsage::kMinPeriod / 2);
  EXPECT_DOUBLE_EQ(usage.Read().cpu.value(), 0);
}

TEST_F(HostUsageTest, TellsNothingWhereThereIsNothingToRead) {
  HostUsage usage(clock_, proc_.path());
  clock_.Advance(HostUsage::kMinPeriod);
  const HostUsage::Reading reading = usage.Read();
  EXPECT_FALSE(reading.cpu.has_value());
  EXPECT_FALSE(reading.memory_total_bytes.has_value());
  EXPECT_FALSE(reading.memory_used_bytes.has_value());
}

}  // namespace
}  // namespace penstock::expert
