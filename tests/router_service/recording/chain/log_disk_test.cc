// What a log does on a disk that is full or fails, and what a loss of power leaves of it.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <map>
#include <optional>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "router_service/recording/chain/log_head.h"
#include "router_service/recording/chain/log_writer.h"
#include "router_service/recording/chain/verify_log.h"
#include "tests/router_service/recording/chain/log_folder.h"

namespace penstock::router {
namespace {

using testing::HasSubstr;

// What is on the disk for certain.
struct Disk {
  bool fails = false;               // to sync
  std::map<ino_t, off_t> synced;    // a file's size then
  std::optional<std::string> head;  // of the folder that was synced last
};
Disk g_disk;

int Sync(int file, long call) {
  struct stat info;
  if (g_disk.fails || fstat(file, &info) != 0) {
    errno = EIO;
    return -1;
  }
  if (S_ISDIR(info.st_mode)) {
    g_disk.head.reset();
    if (const int head = openat(file, kLogHeadFile, O_RDONLY | O_CLOEXEC); head >= 0) {
      char text[1024];
      const ssize_t got = read(head, text, sizeof text);
      if (got >= 0) g_disk.head.emplace(text, static_cast<size_t>(got));
      close(head);
    }
  } else {
    g_disk.synced[info.st_ino] = info.st_size;
  }
  return static_cast<int>(syscall(call, file));
}

}  // namespace
}  // namespace penstock::router

// In place of the C library's.
extern "C" int fdatasync(int file) { return penstock::router::Sync(file, SYS_fdatasync); }
extern "C" int fsync(int file) { return penstock::router::Sync(file, SYS_fsync); }

namespace penstock::router {
namespace {

// While it lives no file gets larger: writes stop half-way, as on a disk that is full.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) {
    std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit less = {.rlim_cur = bytes, .rlim_max = before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &less);
  }
  ~FullDisk() { setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_;
};

class LogDiskTest : public LogFolder {
 protected:
  LogDiskTest() { g_disk = {}; }
  ~LogDiskTest() override { g_disk = {}; }

  static uint64_t Decisions(const RecordCounts& counts) {
    return counts[static_cast<size_t>(RecordKind::kDecision)];
  }
  // The folder with nothing but what was synced.
  std::string WithoutPower() {
    const std::string left = Image();
    for (const std::string& name : Segments()) {
      struct stat info;
      EXPECT_EQ(stat(Path(name).c_str(), &info), 0);
      std::filesystem::resize_file(absl::StrCat(left, "/", name),
                                   static_cast<uintmax_t>(g_disk.synced[info.st_ino]));
    }
    std::filesystem::remove(absl::StrCat(left, "/", kLogHeadFile));
    if (g_disk.head.has_value()) Write(absl::StrCat(left, "/", kLogHeadFile), *g_disk.head);
    return left;
  }
};

TEST_F(LogDiskTest, ADiskThatIsFullLosesRecordsAndTheLogSaysHowMany) {
  const auto writer = Open();
  Append(*writer, 2);
  ASSERT_TRUE(writer->Sync().ok());
  {
    const FullDisk full(Bytes() + 700);
    Append(*writer, 10);
    EXPECT_FALSE(writer->Sync().ok());
    EXPECT_EQ(Problem(Verify()), "");
    Append(*writer, 10);
    EXPECT_FALSE(writer->Sync().ok());
  }
  EXPECT_EQ(writer->failures(), 2u);
  EXPECT_THAT(writer->last_error().message(), HasSubstr("File too large"));
  Append(*writer, 3);
  ASSERT_TRUE(writer->Sync().ok());
  const LogReport report = Verify();
  EXPECT_EQ(Problem(report), "");
  EXPECT_EQ(report.lost, 20u);
  EXPECT_EQ(Decisions(writer->lost()), 20u);
  EXPECT_EQ(Decisions(report.of_kind), 5u);
}

TEST_F(LogDiskTest, ADiskWithoutRoomForASegmentIsTriedAgain) {
  const auto writer = Open();
  Append(*writer, 1);
  clock_.Advance(absl::Hours(1));
  {
    const FullDisk full(100);
    Append(*writer, 3);
    EXPECT_FALSE(writer->Sync().ok());
  }
  Append(*writer, 1);
  ASSERT_TRUE(writer->Sync().ok());
  const LogReport report = Verify();
  EXPECT_EQ(Problem(report), "");
  // The first one too: it was never written.
  EXPECT_EQ(report.lost, 4u);
  EXPECT_EQ(Decisions(report.of_kind), 1u);
}

// What went wrong before is told once there is room for it.
TEST_F(LogDiskTest, ADiskThatIsFullAtTheStartLosesRecordsAndNotTheStart) {
  { Append(*Open(), 2); }
  const std::string text = Read(Path(SegmentName(1)));
  Write(Path(SegmentName(1)), text + "{\"prev_");
  std::unique_ptr<LogWriter> writer;
  {
    const FullDisk full(100);
    writer = Open();
    ASSERT_NE(writer, nullptr);
    EXPECT_EQ(writer->failures(), 1u);
    EXPECT_EQ(writer->segments(), 1u);
    EXPECT_EQ(writer->sequence(), 4u);
    Append(*writer, 3);
    EXPECT_FALSE(writer->Sync().ok());
  }
  Append(*writer, 1);
  ASSERT_TRUE(writer->Sync().ok());
  const LogReport report = Verify();
  EXPECT_EQ(Problem(report), "");
  EXPECT_EQ(report.lost, 3u);
  EXPECT_EQ(Decisions(writer->lost()), 3u);
  EXPECT_EQ(Decisions(report.of_kind), 3u);
  ASSERT_EQ(report.recoveries, 1u);
  EXPECT_THAT(report.recovered[0], HasSubstr("7 bytes"));
}

TEST_F(LogDiskTest, AFolderThatNothingCanBeWrittenToStopsTheStart) {
  { Append(*Open(), 1); }
  std::filesystem::create_directory(absl::StrCat(Path(kLogHeadFile), ".next"));
  EXPECT_FALSE(LogWriter::Open(folder(), {}, clock_).ok());
}

TEST_F(LogDiskTest, AFullDiskAtASegmentsEndDoesNotKeepItFromTheDisk) {
  const auto writer = Open();
  Append(*writer, 6, 50'000);  // more than stays in memory
  Append(*writer, 1);
  clock_.Advance(absl::Hours(1));
  {
    // No room in this segment, but in the next.
    const FullDisk full(Bytes());
    Append(*writer, 1);
    EXPECT_TRUE(writer->Sync().ok());
  }
  EXPECT_EQ(Segments().size(), 2u);
  EXPECT_EQ(Problem(Verify()), "");
  const LogReport report = Verify(WithoutPower());
  EXPECT_EQ(Problem(report), "");
  EXPECT_EQ(Decisions(report.of_kind), 7u);
  EXPECT_EQ(report.lost, 1u);
}

TEST_F(LogDiskTest, WhatASyncThatFailedLostIsNotPromisedButCounted) {
  const auto writer = Open();
  Append(*writer, 1);
  ASSERT_TRUE(writer->Sync().ok());
  const uint64_t promised = writer->sequence();
  writer->NoteMissing(RecordKind::kEvent, 5);
  Append(*writer, 2);
  g_disk.fails = true;
  EXPECT_FALSE(writer->Sync().ok());
  EXPECT_EQ(writer->sequence(), promised);
  EXPECT_EQ(Decisions(writer->lost()), 2u);
  Append(*writer, 4);
  EXPECT_FALSE(writer->Sync().ok());
  g_disk.fails = false;
  Append(*writer, 1);
  ASSERT_TRUE(writer->Sync().ok());
  for (const std::string& left : {folder(), WithoutPower()}) {
    const LogReport report = Verify(left);
    EXPECT_EQ(Problem(report), "");
    EXPECT_EQ(Decisions(report.of_kind), 2u);
    EXPECT_EQ(report.lost, 6u + 5u);
  }
  EXPECT_EQ(Decisions(writer->lost()), 6u);
}

TEST_F(LogDiskTest, ASegmentThatCannotBeSyncedIsNotLeft) {
  auto writer = Open();
  Append(*writer, 2);
  clock_.Advance(absl::Hours(1));
  g_disk.fails = true;
  Append(*writer, 1);  // of the next segment
  EXPECT_FALSE(writer->Sync().ok());
  EXPECT_EQ(Segments().size(), 1u);
  g_disk.fails = false;
  Append(*writer, 1);
  ASSERT_TRUE(writer->Sync().ok());
  const LogReport report = Verify(WithoutPower());
  EXPECT_EQ(Problem(report), "");
  EXPECT_EQ(report.lost, 3u);
  EXPECT_EQ(Decisions(report.of_kind), 1u);
  // Nor at the end.
  Append(*writer, 1);
  g_disk.fails = true;
  writer = nullptr;
  EXPECT_EQ(Problem(Verify(WithoutPower())), "");
}

TEST_F(LogDiskTest, ALogThatHasBegunHasItsHeadOnTheDisk) {
  const auto writer = Open();
  EXPECT_EQ(Problem(Verify(WithoutPower())), "");
}

TEST_F(LogDiskTest, AnOrderlyEndIsOnTheDisk) {
  { Append(*Open(), 3); }
  const LogReport report = Verify(WithoutPower());
  EXPECT_EQ(Problem(report), "");
  EXPECT_TRUE(report.stopped);
  EXPECT_EQ(report.head->sequence, report.last_sequence);
}

// What a process left that crashed is on the disk before another's head promises it.
TEST_F(LogDiskTest, ARestartPromisesOnlyWhatIsOnTheDisk) {
  auto writer = Open();
  ASSERT_TRUE(writer->Sync().ok());
  Append(*writer, 6, 50'000);
  const std::string head = Read(Path(kLogHeadFile));
  const std::string text = Read(Path(SegmentName(1)));
  writer = nullptr;
  Write(Path(kLogHeadFile), head);
  Write(Path(SegmentName(1)), text);
  g_disk = {};
  writer = Open();
  const LogReport report = Verify(WithoutPower());
  EXPECT_EQ(Problem(report), "");
  EXPECT_EQ(Decisions(report.of_kind), 6u);
}

}  // namespace
}  // namespace penstock::router
