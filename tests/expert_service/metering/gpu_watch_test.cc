#include "expert_service/metering/gpu_watch.h"

#include <dlfcn.h>

#include "absl/time/clock.h"
#include "expert_service/metering/metering_factory.h"
#include "expert_service/metering/nvml_counter.h"
#include "gmock/gmock.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_nvml.h"
#include "tests/support/status_matchers.h"

namespace penstock::expert {
namespace {

using ::testing::AllOf;
using ::testing::Ge;
using ::testing::Gt;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Le;

constexpr char kFakeLibrary[] = PENSTOCK_BIN_DIR "/../fake_nvml/libnvidia-ml.so.1";

// A library that is loaded already is found by its name.
class GpuWatchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    library_ = dlopen(kFakeLibrary, RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(library_, nullptr) << dlerror();
    set_ = reinterpret_cast<FakeNvmlSetMillijoules>(dlsym(library_, kFakeNvmlSetMillijoules));
    calls_ = reinterpret_cast<FakeNvmlCalls>(dlsym(library_, kFakeNvmlCalls));
    ASSERT_NE(set_, nullptr);
    ASSERT_NE(calls_, nullptr);
    hang_ = reinterpret_cast<FakeNvmlHang>(dlsym(library_, kFakeNvmlHang));
    ASSERT_NE(hang_, nullptr);
    set_(0, 1'000'000);
    set_(1, 2'000'000);
  }
  void TearDown() override {
    if (hang_ != nullptr) hang_(false);
    watch_ = nullptr;
    if (set_ != nullptr) {
      set_(0, 0);
      set_(1, 0);
    }
    if (library_ != nullptr) dlclose(library_);
    // The thread of a reading may have it still; tests that look for a real one must not find it.
    const absl::Time end = absl::Now() + absl::Seconds(30);
    void* left = dlopen(kFakeLibrary, RTLD_NOW | RTLD_NOLOAD);
    for (; left != nullptr && absl::Now() < end;
         left = dlopen(kFakeLibrary, RTLD_NOW | RTLD_NOLOAD)) {
      dlclose(left);
    }
    EXPECT_EQ(left, nullptr);
  }
  void MakeWatch(absl::Duration patience = absl::Seconds(30)) {
    ASSERT_OK_AND_ASSIGN(const auto nvml, Nvml::Open());
    watch_ = std::make_unique<GpuWatch>(nvml, clock_, patience);
  }

  void* library_ = nullptr;
  FakeNvmlSetMillijoules set_ = nullptr;
  FakeNvmlCalls calls_ = nullptr;
  FakeNvmlHang hang_ = nullptr;
  FakeClock clock_;
  std::unique_ptr<GpuWatch> watch_;
};

TEST_F(GpuWatchTest, TellsWhatEachGpuTellsInOurUnits) {
  MakeWatch();
  const std::vector<GpuReading> readings = watch_->Read();
  ASSERT_EQ(readings.size(), 2u);
  EXPECT_EQ(readings[0].uuid, "GPU-00000000-0000-0000-0000-00000000000a");
  EXPECT_DOUBLE_EQ(readings[0].utilization.value(), 0.37);
  EXPECT_EQ(readings[0].memory.value().total_bytes, 80'000'000'000u);
  EXPECT_EQ(readings[0].memory.value().used_bytes, 20'000'000'000u);
  EXPECT_DOUBLE_EQ(readings[0].watts.value(), 250.5);
  EXPECT_DOUBLE_EQ(readings[0].watts_limit.value(), 700);
  EXPECT_DOUBLE_EQ(readings[1].watts.value(), 125.25);
  EXPECT_FALSE(readings[1].watts_limit.has_value());
}

TEST_F(GpuWatchTest, CountsJoulesSinceItBeganAndNothingOfAReset) {
  MakeWatch();
  EXPECT_DOUBLE_EQ(watch_->Read()[0].joules.value(), 0);
  set_(0, 1'002'500);
  clock_.Advance(GpuWatch::kMaxAge);
  EXPECT_DOUBLE_EQ(watch_->Read()[0].joules.value(), 2.5);
  set_(0, 400);  // the driver was loaded again
  clock_.Advance(GpuWatch::kMaxAge);
  EXPECT_DOUBLE_EQ(watch_->Read()[0].joules.value(), 2.5);
  set_(0, 1400);
  clock_.Advance(GpuWatch::kMaxAge);
  EXPECT_DOUBLE_EQ(watch_->Read()[0].joules.value(), 3.5);
}

TEST_F(GpuWatchTest, AsksTheDevicesNoMoreOftenThanEveryHalfSecond) {
  MakeWatch();
  watch_->Read();
  const unsigned long long before = calls_();
  set_(0, 1'009'000);
  for (int i = 0; i < 9; ++i) {
    clock_.Advance(absl::Milliseconds(50));
    EXPECT_DOUBLE_EQ(watch_->Read()[0].joules.value(), 0);
  }
  EXPECT_EQ(calls_(), before);
  clock_.Advance(absl::Milliseconds(50));
  EXPECT_DOUBLE_EQ(watch_->Read()[0].joules.value(), 9);
  EXPECT_GT(calls_(), before);
}

TEST_F(GpuWatchTest, ADriverThatHangsHoldsNobodyUpAndIsTakenBack) {
  MakeWatch(/*patience=*/absl::Milliseconds(200));
  hang_(true);
  clock_.Advance(GpuWatch::kMaxAge);
  EXPECT_THAT(watch_->Read(), IsEmpty());
  EXPECT_THAT(watch_->Read(), IsEmpty());
  set_(0, 1'004'000);
  hang_(false);
  std::vector<GpuReading> readings;
  const absl::Time end = absl::Now() + absl::Seconds(30);
  while (readings.empty() && absl::Now() < end) readings = watch_->Read();
  ASSERT_EQ(readings.size(), 2u);
  EXPECT_DOUBLE_EQ(readings[0].joules.value(), 4);
}

TEST_F(GpuWatchTest, AWatchEndsWhileItsDriverHangs) {
  MakeWatch(/*patience=*/absl::Milliseconds(20));
  hang_(true);
  clock_.Advance(GpuWatch::kMaxAge);
  watch_->Read();
  watch_ = nullptr;
  // The reading that was left behind has the library still.
  hang_(false);
}

TEST(RealGpuWatchTest, ADriversAnswersMakeSense) {
  const auto nvml = Nvml::Open();
  if (!nvml.ok()) GTEST_SKIP() << nvml.status();
  const RealClock clock;
  for (const GpuReading& gpu : GpuWatch(*nvml, clock).Read()) {
    EXPECT_THAT(gpu.uuid, HasSubstr("-"));
    EXPECT_THAT(gpu.utilization.value_or(0), AllOf(Ge(0), Le(1)));
    if (gpu.memory) {
      EXPECT_GT(gpu.memory->used_bytes, 0u);
      EXPECT_LT(gpu.memory->used_bytes, gpu.memory->total_bytes);
    }
    EXPECT_THAT(gpu.watts.value_or(100), AllOf(Gt(1), Le(2000)));
    EXPECT_THAT(gpu.watts_limit.value_or(100), AllOf(Gt(10), Le(2000)));
  }
}

TEST_F(GpuWatchTest, TheEnergyCounterHasAZoneForEachGpu) {
  ASSERT_OK_AND_ASSIGN(const auto counter, NvmlCounter::Open());
  ASSERT_OK_AND_ASSIGN(const auto readings, counter->Read());
  ASSERT_EQ(readings.size(), 2u);
  EXPECT_EQ(readings[0].microjoules, 1'000'000'000u);
  EXPECT_EQ(readings[1].microjoules, 2'000'000'000u);
  EXPECT_THAT(counter->description(), HasSubstr("Fake GPU A+Fake GPU B"));
}

TEST_F(GpuWatchTest, AMeterOverThemTellsJoulesByCounter) {
  config::v1::Metering config;
  config.set_source(config::v1::Metering::NVML);
  config.set_idle_watts(0);
  ASSERT_OK_AND_ASSIGN(const auto meter, MakeEnergyMeter(config, /*on_gpu=*/false, clock_.Now()));
  const absl::Time start = clock_.Now();
  meter->Sample(start);
  const auto launch = meter->Begin({{0, 1}}, start);
  set_(0, 1'006'000);
  set_(1, 2'001'000);
  meter->End(launch, start + absl::Milliseconds(900));
  meter->Sample(start + absl::Seconds(1));
  EXPECT_EQ(meter->method(), EnergyMethod::kCounter);
  EXPECT_DOUBLE_EQ(meter->totals().meter, 7);
}

}  // namespace
}  // namespace penstock::expert
