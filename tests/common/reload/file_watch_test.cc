#include "common/reload/file_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "absl/time/clock.h"
#include "tests/support/temp_dir.h"

namespace penstock {
namespace {

namespace fs = std::filesystem;

// Also without inotify, which only shortens the wait.
class FileWatchTest : public ::testing::TestWithParam<bool> {
 protected:
  const TempDir dir_;
  FileWatch watch_{GetParam()};
};

TEST_P(FileWatchTest, SeesAFileThatIsWrittenInPlace) {
  const std::string path = dir_.Write("a.yaml", "1");
  watch_.SetPaths({path});
  EXPECT_FALSE(watch_.Changed());
  dir_.Write("a.yaml", "22");
  EXPECT_TRUE(watch_.Changed());
  EXPECT_FALSE(watch_.Changed());
}

TEST_P(FileWatchTest, SeesAFileOfEqualSizeThatIsRenamedOverIt) {
  const std::string path = dir_.Write("a.yaml", "1");
  watch_.SetPaths({path});
  fs::rename(dir_.Write("b.yaml", "2"), path);
  EXPECT_TRUE(watch_.Changed());
}

TEST_P(FileWatchTest, SeesAFileThatGoesAndComes) {
  const std::string path = dir_.Write("a.yaml", "1");
  watch_.SetPaths({path});
  fs::remove(path);
  EXPECT_TRUE(watch_.Changed());
  EXPECT_FALSE(watch_.Changed());
  dir_.Write("a.yaml", "1");
  EXPECT_TRUE(watch_.Changed());
}

// config.yaml -> ..data/config.yaml, ..data -> first: as Kubernetes mounts a ConfigMap.
TEST_P(FileWatchTest, SeesALinkThatIsTurnedToAnotherFolder) {
  dir_.Write("first/config.yaml", "1");
  dir_.Write("second/config.yaml", "1");
  fs::create_directory_symlink("first", dir_.File("..data"));
  fs::create_symlink("..data/config.yaml", dir_.File("config.yaml"));
  watch_.SetPaths({dir_.File("config.yaml")});
  fs::create_directory_symlink("second", dir_.File("..data_tmp"));
  fs::rename(dir_.File("..data_tmp"), dir_.File("..data"));
  EXPECT_TRUE(watch_.Changed());
  EXPECT_FALSE(watch_.Changed());
}

TEST_P(FileWatchTest, OtherFilesOfTheFolderAreNoChange) {
  watch_.SetPaths({dir_.Write("a.yaml", "1")});
  dir_.Write("b.yaml", "2");
  EXPECT_FALSE(watch_.Changed());
}

TEST_P(FileWatchTest, WhatIsWatchedOnIsKnownAsItWas) {
  const std::string path = dir_.Write("a.yaml", "1");
  watch_.SetPaths({path});
  dir_.Write("a.yaml", "22");
  watch_.SetPaths({path, dir_.Write("b.yaml", "1")});
  EXPECT_TRUE(watch_.Changed());
}

INSTANTIATE_TEST_SUITE_P(Inotify, FileWatchTest, ::testing::Bool());

TEST(FileWatch, AChangeEndsTheWait) {
  const TempDir dir;
  FileWatch watch;
  watch.SetPaths({dir.Write("a.yaml", "1")});
  if (watch.folders() == 0) GTEST_SKIP() << "no inotify here";
  dir.Write("a.yaml", "22");
  const absl::Time start = absl::Now();
  watch.Wait(absl::Minutes(5));
  EXPECT_LT(absl::Now() - start, absl::Minutes(1));
  EXPECT_TRUE(watch.Changed());
}

TEST(FileWatch, WakeEndsTheWait) {
  FileWatch watch(/*inotify=*/false);
  std::thread waker([&] { watch.Wake(); });
  const absl::Time start = absl::Now();
  watch.Wait(absl::Minutes(5));
  EXPECT_LT(absl::Now() - start, absl::Minutes(1));
  waker.join();
}

}  // namespace
}  // namespace penstock
