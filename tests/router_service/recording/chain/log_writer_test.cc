#include "router_service/recording/chain/log_writer.h"

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "router_service/recording/chain/verify_log.h"
#include "tests/router_service/recording/chain/log_folder.h"
#include "tests/router_service/recording/logged_lines.h"

namespace penstock::router {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

class LogWriterTest : public LogFolder {
 protected:
  v1::LogRecovery Recovery() {
    for (const v1::LogRecord& record : RecordsIn(folder())) {
      if (record.has_recovery()) last_recovery_ = record.recovery();
    }
    return last_recovery_;
  }

  v1::LogRecovery last_recovery_;
};

TEST_F(LogWriterTest, ASegmentHasAHeaderAndItsClosingRecord) {
  Append(*Open({.router = 0xbeef}), 2);
  const std::vector<v1::LogRecord> records = RecordsIn(folder());
  ASSERT_THAT(records, SizeIs(4));
  EXPECT_EQ(records[0].header().router(), "0000beef");
  EXPECT_EQ(records[0].header().schema_version(), 1u);
  EXPECT_EQ(records[0].header().oldest_sequence(), 1u);
  EXPECT_EQ(records[0].header().log().size(), 16u);
  EXPECT_EQ(records[0].time().seconds(), 1'000'000);
  EXPECT_EQ(records[3].close().records(), 4u);
  EXPECT_TRUE(records[3].close().stopped());
  for (size_t i = 0; i < records.size(); ++i) EXPECT_EQ(records[i].sequence(), i + 1);
}

TEST_F(LogWriterTest, AnotherRunContinuesTheChainInAnotherSegment) {
  Append(*Open({.router = 1}), 2);
  Append(*Open({.router = 2}), 3);
  EXPECT_THAT(Segments(), ElementsAre(SegmentName(1), SegmentName(5)));
  const std::vector<v1::LogRecord> records = RecordsIn(folder());
  ASSERT_THAT(records, SizeIs(9));
  EXPECT_EQ(records[4].header().router(), "00000002");
  EXPECT_EQ(records[4].header().log(), records[0].header().log());
  EXPECT_EQ(Verify().recoveries, 0u);
}

TEST_F(LogWriterTest, OneWritesToAFolderAtATime) {
  const auto writer = Open();
  const auto other = LogWriter::Open(folder(), {}, clock_);
  EXPECT_EQ(other.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(other.status().message(), HasSubstr("another router"));
}

TEST_F(LogWriterTest, EachSyncTellsTheHead) {
  std::vector<LogHead> told;
  const auto writer =
      Open({.head_synced = [&](const LogHead& head) { told.push_back(head); }});
  ASSERT_THAT(told, SizeIs(1));  // of the header
  Append(*writer, 2);
  ASSERT_TRUE(writer->Sync().ok());
  ASSERT_TRUE(writer->Sync().ok());  // nothing new
  ASSERT_THAT(told, SizeIs(2));
  EXPECT_EQ(told[1].sequence, 3u);
  EXPECT_EQ(writer->sequence(), 3u);
  const auto head = ReadLogHead(Path(kLogHeadFile));
  ASSERT_TRUE(head.ok() && head->has_value());
  EXPECT_EQ(**head, told[1]);
}

TEST_F(LogWriterTest, ASegmentEndsAtItsSizeAndTheOldestGo) {
  constexpr uint64_t kSegment = 64 << 10, kMost = 4 * kSegment;
  const auto writer = Open({.segment_bytes = kSegment, .max_bytes = kMost});
  for (int i = 0; i < 40; ++i) {
    Append(*writer, 1, 10'000 + static_cast<size_t>(i) * 100);
    ASSERT_TRUE(writer->Sync().ok());
    EXPECT_LE(Bytes(), kMost);
    EXPECT_EQ(writer->bytes(), Bytes());
    for (const std::string& name : Segments()) {
      EXPECT_LE(std::filesystem::file_size(Path(name)), kSegment);
    }
  }
  EXPECT_THAT(Segments(), SizeIs(4));
  const LogReport report = Verify();
  EXPECT_EQ(Problem(report), "");
  EXPECT_GT(report.first_sequence, 1u);
  EXPECT_NE(report.anchor, RecordHash{});
  // What is kept is kept from where it says: an older segment cannot be taken away besides.
  std::filesystem::remove(Path(Segments()[0]));
  EXPECT_THAT(Problem(Verify()), HasSubstr("is missing"));
}

TEST_F(LogWriterTest, ASegmentEndsAfterAnHourAndOldOnesGo) {
  const auto writer = Open({.max_age = absl::Hours(3)});
  for (int hour = 0; hour < 6; ++hour) {
    Append(*writer, 1);
    ASSERT_TRUE(writer->Sync().ok());
    clock_.Advance(absl::Hours(1));
  }
  // At the sixth record: ended 4 and 3 hours ago, 2, 1, 0; the open one.
  EXPECT_THAT(Segments(), SizeIs(5));
  EXPECT_EQ(Problem(Verify()), "");
}

TEST_F(LogWriterTest, AnIdleLogForgetsTooAndDoesNotGrow) {
  const auto writer = Open({.max_age = absl::Hours(3)});
  Append(*writer, 1, 20'000);
  ASSERT_TRUE(writer->Sync().ok());
  for (int minute = 0; minute < 24 * 60; ++minute) {
    clock_.Advance(absl::Minutes(1));
    writer->Tick();
  }
  EXPECT_LT(Bytes(), 10'000u);
  EXPECT_THAT(Segments(), SizeIs(testing::Le(3)));
  EXPECT_EQ(Problem(Verify()), "");
}

TEST_F(LogWriterTest, AgeAndSizeHoldAcrossRuns) {
  for (int hour = 0; hour < 6; ++hour) {
    Append(*Open({.max_age = absl::Hours(3)}), 1);
    clock_.Advance(absl::Hours(1));
  }
  EXPECT_THAT(Segments(), SizeIs(5));
  constexpr uint64_t kSegment = 64 << 10;
  Append(*Open({.segment_bytes = kSegment, .max_bytes = 4 * kSegment}), 1, 50'000);
  Append(*Open({.segment_bytes = kSegment, .max_bytes = 4 * kSegment}), 1, 50'000);
  Append(*Open({.segment_bytes = kSegment, .max_bytes = 4 * kSegment}), 1, 50'000);
  Append(*Open({.segment_bytes = kSegment, .max_bytes = 4 * kSegment}), 1, 50'000);
  Append(*Open({.segment_bytes = kSegment, .max_bytes = 4 * kSegment}), 1, 50'000);
  EXPECT_LE(Bytes(), 4 * kSegment);
  EXPECT_EQ(Problem(Verify()), "");
}

TEST_F(LogWriterTest, ARecordThatIsTooLongForASegmentIsMissingAlone) {
  const auto writer = Open({.segment_bytes = 64 << 10, .max_bytes = 1 << 20});
  Append(*writer, 1);
  Append(*writer, 1, 70'000);
  Append(*writer, 1);
  ASSERT_TRUE(writer->Sync().ok());
  const LogReport report = Verify();
  EXPECT_EQ(report.lost, 1u);
  EXPECT_EQ(report.of_kind[static_cast<size_t>(RecordKind::kDecision)], 2u);
  EXPECT_EQ(writer->lost()[static_cast<size_t>(RecordKind::kDecision)], 1u);
}

// The machine stops within a write: at each byte of what was not synced.
TEST_F(LogWriterTest, WhatACrashLeftOfARecordIsRemovedAndSaidSo) {
  auto writer = Open();
  Append(*writer, 2);
  ASSERT_TRUE(writer->Sync().ok());
  const std::string synced = Image();
  const size_t promised = std::filesystem::file_size(Path(SegmentName(1)));
  Append(*writer, 1);
  writer = nullptr;
  const std::string text = Read(Path(SegmentName(1)));
  const size_t next = text.find('\n', promised) + 1;
  std::vector<size_t> sizes = {next - 1};
  for (size_t size = promised; size + 1 < next; size += 7) sizes.push_back(size);
  for (const size_t size : sizes) {
    const std::string crashed = dir_.File(absl::StrCat("crashed", size));
    std::filesystem::copy(synced, crashed);
    Write(absl::StrCat(crashed, "/", SegmentName(1)), text.substr(0, size));
    // Told apart from a log that somebody cut: what was promised is there.
    const LogReport before = Verify(crashed);
    EXPECT_EQ(Problem(before), "");
    EXPECT_EQ(before.unfinished_bytes, size - promised);
    EXPECT_FALSE(before.stopped);
    {
      const auto again = LogWriter::Open(crashed, {}, clock_);
      ASSERT_TRUE(again.ok()) << again.status();
      Append(**again, 1);
    }
    const LogReport report = Verify(crashed);
    EXPECT_EQ(Problem(report), "");
    EXPECT_EQ(report.recoveries, 1u);
    EXPECT_EQ(report.last_sequence, 7u);
    if (size > promised) {
      EXPECT_THAT(report.recovered[0], HasSubstr(absl::StrCat(size - promised, " bytes")));
    }
  }
}

// Blocks come to the disk in any order: more than one line may be no record.
TEST_F(LogWriterTest, WhatAPowerLossLeftBeyondTheHeadIsNoBreakButBeforeItIs) {
  const auto writer = Open();
  Append(*writer, 2);
  ASSERT_TRUE(writer->Sync().ok());
  const std::string synced = Image();
  const size_t promised = std::filesystem::file_size(Path(SegmentName(1)));
  const std::string early = dir_.File("early");
  std::filesystem::copy(Path(kLogHeadFile), early);
  Append(*writer, 3);
  ASSERT_TRUE(writer->Sync().ok());
  std::string text = Read(Path(SegmentName(1)));
  text.replace(promised + 20, 5, std::string(5, '\0'));
  const std::string lost = Image();
  Write(absl::StrCat(lost, "/", SegmentName(1)), text);
  EXPECT_NE(Problem(Verify(lost)), "");
  // Nor does an older head make it less of a break than the folder's own.
  const auto head = ReadLogHead(early);
  ASSERT_TRUE(head.ok() && head->has_value());
  const auto compared = VerifyLog(lost, **head);
  ASSERT_TRUE(compared.ok()) << compared.status();
  EXPECT_NE(Problem(*compared), "");

  Write(absl::StrCat(synced, "/", SegmentName(1)), text);
  const LogReport report = Verify(synced);
  EXPECT_EQ(Problem(report), "");
  EXPECT_EQ(report.last_sequence, 3u);
  EXPECT_EQ(report.unfinished_bytes, text.size() - promised);
  { ASSERT_TRUE(LogWriter::Open(synced, {}, clock_).ok()); }
  const LogReport after = Verify(synced);
  EXPECT_EQ(Problem(after), "");
  ASSERT_EQ(after.recoveries, 1u);
  EXPECT_THAT(after.recovered[0], HasSubstr(absl::StrCat(text.size() - promised, " bytes")));
}

// A segment had begun, but nothing in it was promised.
TEST_F(LogWriterTest, ACrashWhileASegmentBeginsLeavesNone) {
  { Append(*Open(), 1); }
  const std::string ended = Image();
  { Append(*Open(), 1); }
  const std::string text = Read(Path(SegmentName(4)));
  for (const size_t size : {size_t{0}, size_t{1}, text.find('\n')}) {
    const std::string crashed = dir_.File(absl::StrCat("begun", size));
    std::filesystem::copy(ended, crashed);
    Write(absl::StrCat(crashed, "/", SegmentName(4)), text.substr(0, size));
    EXPECT_EQ(Problem(Verify(crashed)), "") << size;
    { ASSERT_TRUE(LogWriter::Open(crashed, {}, clock_).ok()); }
    const LogReport report = Verify(crashed);
    EXPECT_EQ(Problem(report), "");
    EXPECT_EQ(report.last_sequence, 6u);
    EXPECT_EQ(report.recoveries, 1u);
  }
}

TEST_F(LogWriterTest, ALogThatWasCutGoesOnAndTheCutIsStillFound) {
  { Append(*Open(), 5); }
  const std::string text = Read(Path(SegmentName(1)));
  const size_t cut = text.size() / 2;
  Write(Path(SegmentName(1)), text.substr(0, cut));
  EXPECT_THAT(Problem(Verify()), HasSubstr("head says that record 7"));
  { Append(*Open(), 1); }
  // As it was left, for whoever looks into it.
  EXPECT_EQ(Read(Path(SegmentName(1))).size(), cut);
  EXPECT_THAT(Segments(), ElementsAre(SegmentName(1), SegmentName(8)));
  EXPECT_THAT(Problem(Verify()), HasSubstr("within a record"));
  const std::string recovery = Read(Path(SegmentName(8)));
  EXPECT_THAT(recovery, HasSubstr("to 7 are missing"));
}

TEST_F(LogWriterTest, ALogWithoutItsSegmentsOrItsHeadGoesOnAndThatIsFound) {
  { Append(*Open(), 5); }
  std::filesystem::remove(Path(SegmentName(1)));
  { Append(*Open(), 1); }
  EXPECT_THAT(Segments(), ElementsAre(SegmentName(8)));
  EXPECT_THAT(Read(Path(SegmentName(8))), HasSubstr("all segments are missing"));

  std::filesystem::remove(Path(kLogHeadFile));
  { Append(*Open(), 1); }
  EXPECT_THAT(Recovery().broken(), HasSubstr("the head is missing"));

  Write(Path(kLogHeadFile), "{}");
  { Append(*Open(), 1); }
  EXPECT_THAT(Recovery().broken(), HasSubstr("head: wanted"));
}

TEST_F(LogWriterTest, WithNothingToGoOnFromItDoesNotBegin) {
  { Append(*Open(), 1); }
  std::filesystem::remove(Path(kLogHeadFile));
  Write(Path(SegmentName(1)), "no log\n");
  const auto writer = LogWriter::Open(folder(), {}, clock_);
  EXPECT_EQ(writer.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(writer.status().message(), HasSubstr("move the folder's files elsewhere"));
  EXPECT_EQ(Read(Path(SegmentName(1))), "no log\n");
}

// The machine stopped after a header had said that it goes.
TEST_F(LogWriterTest, ASegmentThatIsLeftAfterItsTimeIsNoBreak) {
  { Append(*Open(), 1); }
  const std::string first = Read(Path(SegmentName(1)));
  clock_.Advance(absl::Hours(4));
  { Append(*Open({.max_age = absl::Hours(3)}), 1); }
  ASSERT_THAT(Segments(), ElementsAre(SegmentName(4)));
  Write(Path(SegmentName(1)), first);
  { Append(*Open(), 1); }
  EXPECT_EQ(Problem(Verify()), "");
  EXPECT_EQ(RecordsIn(folder()).back().sequence(), 9u);
}

// Whoever takes a file and starts the router has not thereby made the log whole.
TEST_F(LogWriterTest, AnOldestSegmentThatWasTakenIsMissedAfterRestartsUntilItsTimeIsOver) {
  for (int run = 0; run < 3; ++run) Append(*Open(), 1);
  std::filesystem::remove(Path(SegmentName(1)));
  for (int restart = 0; restart < 2; ++restart) {
    { Append(*Open(), 1); }
    const LogReport report = Verify();
    ASSERT_TRUE(report.broken.has_value());
    EXPECT_EQ(report.broken->file, SegmentName(1));
    EXPECT_THAT(Problem(report), HasSubstr("is missing"));
    EXPECT_THAT(Recovery().broken(), HasSubstr(SegmentName(1) + " is missing"));
  }
  // With a segment that begins later, too.
  const auto writer = Open({.max_age = absl::Hours(3)});
  clock_.Advance(absl::Hours(1));
  Append(*writer, 1);
  ASSERT_TRUE(writer->Sync().ok());
  EXPECT_THAT(Problem(Verify()), HasSubstr("is missing"));
  clock_.Advance(absl::Hours(4));
  writer->Tick();
  ASSERT_TRUE(writer->Sync().ok());
  EXPECT_EQ(Problem(Verify()), "");
}

TEST_F(LogWriterTest, WhatARestartFoundBrokenIsABreakAfterIt) {
  { Append(*Open(), 5); }
  const std::string whole = Image();
  const auto restore = [&](const std::string& from) {
    std::filesystem::remove_all(folder());
    std::filesystem::copy(from, folder());
  };
  std::filesystem::remove(Path(SegmentName(1)));
  { Append(*Open(), 1); }
  LogReport report = Verify();
  ASSERT_TRUE(report.broken.has_value());
  EXPECT_EQ(report.broken->file, SegmentName(8));
  EXPECT_EQ(report.broken->line, 2u);
  EXPECT_EQ(report.broken->sequence, 8u);
  EXPECT_THAT(Problem(report), HasSubstr("all segments are missing"));
  EXPECT_EQ(report.recoveries, 1u);

  restore(whole);
  std::filesystem::remove(Path(kLogHeadFile));
  const std::string text = Read(Path(SegmentName(1)));
  std::filesystem::resize_file(Path(SegmentName(1)), text.find('\n', text.size() / 2) + 1);
  { Append(*Open(), 1); }
  EXPECT_THAT(Problem(Verify()), HasSubstr("the head is missing"));

  // Another chain under the head.
  std::filesystem::remove_all(folder());
  { Append(*Open({.router = 9}), 9); }
  std::filesystem::copy_file(whole + "/" + kLogHeadFile, Path(kLogHeadFile),
                             std::filesystem::copy_options::overwrite_existing);
  { Append(*Open(), 1); }
  EXPECT_THAT(Problem(Verify()), HasSubstr("the head was of log"));
}

TEST_F(LogWriterTest, AHeaderThatCannotBeReadKeepsNoSegmentFromItsAge) {
  for (int run = 0; run < 3; ++run) {
    { Append(*Open(), 1); }
    clock_.Advance(absl::Minutes(1));
  }
  for (const uint64_t broken : {uint64_t{4}, uint64_t{7}}) {
    WriteByte(Path(SegmentName(broken)), 30, '!');
  }
  const auto writer = Open({.max_age = absl::Hours(3)});
  ASSERT_NE(writer, nullptr);
  Append(*writer, 1);
  ASSERT_TRUE(writer->Sync().ok());
  EXPECT_EQ(writer->segments(), 4u);
  clock_.Advance(absl::Hours(3) + absl::Minutes(1));
  writer->Tick();
  EXPECT_THAT(Segments(), SizeIs(2));
}

}  // namespace
}  // namespace penstock::router
