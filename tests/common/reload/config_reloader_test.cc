#include "common/reload/config_reloader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/registry.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "common/config/yaml_config.h"
#include "common/mutex.h"
#include "penstock/config/v1/router.pb.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace penstock {
namespace {

namespace fs = std::filesystem;

// A service whose whole state is the seed that it serves; 13 it does not take.
class ConfigReloaderTest : public ::testing::Test {
 protected:
  // Seen as one change.
  void Put(const std::string& name, const std::string& text) {
    fs::rename(dir_.Write("being_written", text), dir_.File(name));
  }
  void Begin(const std::string& text, bool inotify = true) {
    if (!fs::exists(dir_.File("config.yaml"))) Put("config.yaml", text);
    config::v1::Router running;
    ASSERT_THAT(ReadYaml(text, running), IsOk());
    {
      MutexLock lock(mutex_);
      seeds_ = {running.seed()};
    }
    ConfigReloader::Options options;
    options.config_file = dir_.File("config.yaml");
    options.poll = absl::Milliseconds(10);
    options.settle = absl::Milliseconds(5);
    options.inotify = inotify;
    ConfigReloader::Service service;
    service.prepare = [this](const google::protobuf::Message& next,
                             const Notification&) -> absl::StatusOr<PreparedReload> {
      const uint64_t seed = static_cast<const config::v1::Router&>(next).seed();
      if (seed == 13) return absl::InvalidArgumentError("seed: 13 is not wanted");
      PreparedReload prepared;
      const std::string gate = dir_.Read("gate");
      MutexLock lock(mutex_);
      if (seed != seeds_.back()) prepared.changes.push_back("seed");
      if (gate != gate_) prepared.changes.push_back("gate");
      prepared.commit = [this, seed, gate] {
        MutexLock lock(mutex_);
        seeds_.push_back(seed);
        gate_ = gate;
      };
      return prepared;
    };
    service.files = [this](const google::protobuf::Message&) -> std::vector<std::string> {
      return {dir_.File("gate")};
    };
    service.fingerprint = [this] { return Gate(); };
    service.tend = [this] {
      MutexLock lock(mutex_);
      ++tended_;
      changed_.NotifyAll();
    };
    reloader_ =
        std::make_unique<ConfigReloader>(options, running, service, clock_, std::vector{registry_});
    reloader_->Start();
  }
  void TearDown() override { reloader_.reset(); }

  // Until there were so many reloads.
  void Wait(uint64_t count) { ASSERT_TRUE(reloader_->WaitForReloads(count, absl::Seconds(30))); }
  void WaitUntilTended(int count) {
    const absl::Time until = absl::Now() + absl::Seconds(30);
    MutexLock lock(mutex_);
    while (tended_ < count && absl::Now() < until) changed_.WaitFor(mutex_, absl::Seconds(1));
    EXPECT_EQ(tended_, count);
  }
  std::vector<uint64_t> Seeds() const {
    MutexLock lock(mutex_);
    return seeds_;
  }
  uint64_t Serving() const { return Seeds().back(); }
  std::string Gate() const {
    MutexLock lock(mutex_);
    return gate_;
  }
  double Metric(const std::string& name, const std::string& result = "") const {
    for (const prometheus::MetricFamily& family : registry_->Collect()) {
      if (family.name != name) continue;
      for (const prometheus::ClientMetric& metric : family.metric) {
        if (result.empty()) return metric.gauge.value;
        for (const auto& label : metric.label) {
          if (label.value == result) return metric.counter.value;
        }
      }
    }
    return -1;
  }
  double Count(const std::string& result) const {
    return Metric("penstock_config_reloads_total", result);
  }

  const TempDir dir_;
  FakeClock clock_;
  std::shared_ptr<prometheus::Registry> registry_ = std::make_shared<prometheus::Registry>();
  mutable Mutex mutex_;
  std::vector<uint64_t> seeds_ ABSL_GUARDED_BY(mutex_);  // in the order in which they served
  std::string gate_ ABSL_GUARDED_BY(mutex_);
  mutable CondVar changed_;
  int tended_ ABSL_GUARDED_BY(mutex_) = 0;
  std::unique_ptr<ConfigReloader> reloader_;
};

TEST_F(ConfigReloaderTest, AppliesAFileThatChanged) {
  Begin("seed: 1\n");
  const double version = Metric("penstock_config_version");
  EXPECT_GT(version, 0);
  clock_.Advance(absl::Seconds(5));
  Put("config.yaml", "seed: 2\n");
  Wait(1);
  EXPECT_EQ(Serving(), 2u);
  EXPECT_EQ(Count("applied"), 1);
  EXPECT_NE(Metric("penstock_config_version"), version);
  EXPECT_EQ(Metric("penstock_config_applied_timestamp_seconds"), 1'000'005);
}

TEST_F(ConfigReloaderTest, AppliesWhatChangedWhileTheServiceStarted) {
  Put("config.yaml", "seed: 2");
  Begin("seed: 1");
  Wait(1);
  EXPECT_EQ(Serving(), 2u);
}

TEST_F(ConfigReloaderTest, AppliesWithoutInotify) {
  Begin("seed: 1\n", /*inotify=*/false);
  Put("config.yaml", "seed: 2\n");
  Wait(1);
  EXPECT_EQ(Serving(), 2u);
}

TEST_F(ConfigReloaderTest, RefusesAndKeepsWhatServes) {
  Begin("seed: 1\n");
  const double version = Metric("penstock_config_version");
  Put("config.yaml", "seed: 13\n");
  Wait(1);
  Put("config.yaml", "sede: 2\n");
  Wait(2);
  Put("config.yaml", "seed: 2");  // the running one ended in a line feed
  Wait(3);
  fs::remove(dir_.File("config.yaml"));
  Wait(4);
  EXPECT_THAT(Seeds(), ::testing::ElementsAre(1));
  EXPECT_EQ(Count("refused"), 4);
  EXPECT_EQ(Count("applied"), 0);
  EXPECT_EQ(Metric("penstock_config_version"), version);
  EXPECT_EQ(Metric("penstock_config_applied_timestamp_seconds"), 1'000'000);
  Put("config.yaml", "seed: 3\n");
  Wait(5);
  EXPECT_EQ(Serving(), 3u);
}

TEST_F(ConfigReloaderTest, OfTwoQuickChangesTheLastOneServes) {
  Begin("seed: 1\n");
  Put("config.yaml", "seed: 2\n");
  Put("config.yaml", "seed: 3\n");
  for (uint64_t reloads = 1; Serving() != 3; ++reloads) Wait(reloads);
  EXPECT_EQ(Count("refused"), 0);
}

TEST_F(ConfigReloaderTest, AFileThatTheConfigurationNamesCountsToo) {
  Begin("seed: 1\n");
  const double version = Metric("penstock_config_version");
  Put("gate", "weights");
  Wait(1);
  EXPECT_EQ(Gate(), "weights");
  EXPECT_EQ(Count("applied"), 1);
  EXPECT_NE(Metric("penstock_config_version"), version);
}

TEST_F(ConfigReloaderTest, FollowsALinkThatIsTurned) {
  dir_.Write("first/config.yaml", "seed: 1\n");
  dir_.Write("second/config.yaml", "seed: 2\n");
  fs::create_directory_symlink("first", dir_.File("..data"));
  fs::create_symlink("..data/config.yaml", dir_.File("config.yaml"));
  Begin("seed: 1\n");
  fs::create_directory_symlink("second", dir_.File("..data_tmp"));
  fs::rename(dir_.File("..data_tmp"), dir_.File("..data"));
  Wait(1);
  EXPECT_EQ(Serving(), 2u);
}

TEST_F(ConfigReloaderTest, ARequestReadsAFileThatDidNotChange) {
  Begin("seed: 1\n");
  reloader_->Request();
  Wait(1);
  EXPECT_EQ(Count("unchanged"), 1);
  EXPECT_EQ(Count("applied"), 0);
}

TEST_F(ConfigReloaderTest, OtherFilesAreLookedAfterEveryTenSecondsWithoutAReload) {
  Begin("seed: 1\n");
  WaitUntilTended(1);
  clock_.Advance(ConfigReloader::kTend);
  WaitUntilTended(2);
  EXPECT_EQ(reloader_->reloads(), 0u);
  clock_.Advance(ConfigReloader::kTend - absl::Seconds(1));
  reloader_->Request();
  Wait(1);  // the loop went round, and it was not time yet
  MutexLock lock(mutex_);
  EXPECT_EQ(tended_, 2);
}

TEST_F(ConfigReloaderTest, EqualConfigurationsHaveEqualVersions) {
  Begin("seed: 1\n");
  const double version = Metric("penstock_config_version");
  Put("config.yaml", "seed: 2\n");
  Wait(1);
  Put("config.yaml", "seed: 1\n");
  for (uint64_t reloads = 2; Serving() != 1; ++reloads) Wait(reloads);
  EXPECT_EQ(Metric("penstock_config_version"), version);
}

}  // namespace
}  // namespace penstock
