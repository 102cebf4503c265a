#include "common/cpu_quota.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/temp_dir.h"

namespace penstock {
namespace {

class CpuQuotaTest : public ::testing::Test {
 protected:
  void Write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = std::string(root_.path()) + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  int Cores() const { return QuotaCores(root_.path()); }

  TempDir root_;
};

TEST_F(CpuQuotaTest, NoFilesAreNoQuota) { EXPECT_EQ(Cores(), 0); }

TEST_F(CpuQuotaTest, ReadsVersion2AndRoundsUp) {
  Write("/proc/self/cgroup", "0::/\n");
  Write("/sys/fs/cgroup/cpu.max", "150000 100000\n");
  EXPECT_EQ(Cores(), 2);
  Write("/sys/fs/cgroup/cpu.max", "200000 100000\n");
  EXPECT_EQ(Cores(), 2);
  Write("/sys/fs/cgroup/cpu.max", "1000 100000\n");
  EXPECT_EQ(Cores(), 1);
}

TEST_F(CpuQuotaTest, MaxIsNoQuota) {
  Write("/proc/self/cgroup", "0::/\n");
  Write("/sys/fs/cgroup/cpu.max", "max 100000\n");
  EXPECT_EQ(Cores(), 0);
}

TEST_F(CpuQuotaTest, GarbageIsNoQuota) {
  Write("/proc/self/cgroup", "garbage\n0::/\n:\n");
  for (const char* text : {"", "many\n", "100000\n", "100000 0\n", "-5 100000\n", "1e5 100000\n",
                           "1 2 3\n", "99999999999999999999 100000\n"}) {
    Write("/sys/fs/cgroup/cpu.max", text);
    EXPECT_EQ(Cores(), 0) << text;
  }
}

TEST_F(CpuQuotaTest, TheTightestGroupOnTheWayCounts) {
  Write("/proc/self/cgroup", "0::/pods/one/box\n");
  Write("/sys/fs/cgroup/pods/one/box/cpu.max", "800000 100000\n");
  EXPECT_EQ(Cores(), 8);
  Write("/sys/fs/cgroup/pods/cpu.max", "300000 100000\n");
  EXPECT_EQ(Cores(), 3);
  Write("/sys/fs/cgroup/pods/one/cpu.max", "max 100000\n");
  EXPECT_EQ(Cores(), 3);
  Write("/sys/fs/cgroup/pods/one/box/cpu.max", "100000 50000\n");
  EXPECT_EQ(Cores(), 2);
  Write("/sys/fs/cgroup/pods/two/cpu.max", "1000 100000\n");  // a neighbour's
  EXPECT_EQ(Cores(), 2);
}

TEST_F(CpuQuotaTest, ReadsVersion1) {
  Write("/proc/self/cgroup", "5:memory:/a\n4:cpu,cpuacct:/a/b\n0::/\n");
  Write("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
  Write("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(Cores(), 0);
  Write("/sys/fs/cgroup/cpu/a/b/cpu.cfs_quota_us", "450000\n");
  Write("/sys/fs/cgroup/cpu/a/b/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(Cores(), 5);
  Write("/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "250000\n");  // its period is missing
  EXPECT_EQ(Cores(), 5);
  Write("/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(Cores(), 3);
}

TEST_F(CpuQuotaTest, OfBothVersionsTheTighterCounts) {
  Write("/proc/self/cgroup", "3:cpu:/a\n0::/b\n");
  Write("/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "400000\n");
  Write("/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
  Write("/sys/fs/cgroup/unified/b/cpu.max", "200000 100000\n");
  EXPECT_EQ(Cores(), 2);
}

// A container whose groups are named as outside of it sees its own at the mount.
TEST_F(CpuQuotaTest, GroupsThatAreNotInViewLeaveTheMount) {
  Write("/proc/self/cgroup", "4:cpu:/docker/abc\n0::/../elsewhere\n");
  Write("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "300000\n");
  Write("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  Write("/sys/fs/elsewhere/cpu.max", "100000 100000\n");
  EXPECT_EQ(Cores(), 3);
}

TEST(UsableCoresTest, AtLeastOne) { EXPECT_GE(UsableCores(), 1); }

}  // namespace
}  // namespace penstock
