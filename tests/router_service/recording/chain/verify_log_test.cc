// Whatever is done to a log's files is found.
#include "router_service/recording/chain/verify_log.h"

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "tests/router_service/recording/chain/log_folder.h"

namespace penstock::router {
namespace {

using testing::HasSubstr;

class VerifyLogTest : public LogFolder {
 protected:
  // Three segments of a few records each, ended in order.
  void SetUp() override {
    for (int run = 0; run < 3; ++run) {
      const auto writer = Open({.router = 7});
      Append(*writer, 2);
    }
    segments_ = Segments();
    ASSERT_EQ(segments_.size(), 3u);
  }
  LogReport Verify() { return Verify(folder()); }
  static LogReport Verify(const std::string& folder) {
    const auto report = VerifyLog(folder);
    EXPECT_TRUE(report.ok()) << report.status();
    return report.ok() ? *report : LogReport();
  }
  static std::string BreakOf(const LogReport& report) {
    if (!report.broken.has_value()) return "(none)";
    return absl::StrCat(report.broken->file, ":", report.broken->line, " ", report.broken->sequence,
                        " ", report.broken->what);
  }

  std::vector<std::string> segments_;
};

TEST_F(VerifyLogTest, ALogAsItWasWrittenIsWhole) {
  const LogReport report = Verify();
  EXPECT_EQ(BreakOf(report), "(none)");
  EXPECT_EQ(report.segments, 3u);
  EXPECT_EQ(report.records, 12u);
  EXPECT_EQ(report.first_sequence, 1u);
  EXPECT_EQ(report.last_sequence, 12u);
  EXPECT_EQ(report.of_kind[static_cast<size_t>(RecordKind::kDecision)], 6u);
  EXPECT_TRUE(report.stopped);
  EXPECT_EQ(report.head->sequence, 12u);
  EXPECT_EQ(report.recoveries, 0u);
}

TEST_F(VerifyLogTest, AnotherByteAnywhereIsFound) {
  std::vector<std::string> files = segments_;
  files.push_back(kLogHeadFile);
  size_t tried = 0;
  for (const std::string& file : files) {
    const std::string text = Read(Path(file));
    for (size_t i = 0; i < text.size(); ++i) {
      for (const char bits : {1, 32}) {
        WriteByte(Path(file), i, static_cast<char>(text[i] ^ bits));
        const LogReport report = Verify();
        EXPECT_TRUE(report.broken.has_value()) << file << " byte " << i;
        ++tried;
        if (!report.broken.has_value() || file == kLogHeadFile) continue;
        // In this file, or in the next one that no longer follows on it.
        EXPECT_THAT(report.broken->file, HasSubstr("segment-")) << BreakOf(report);
      }
      WriteByte(Path(file), i, text[i]);
    }
  }
  EXPECT_GT(tried, 4000u);
  EXPECT_EQ(BreakOf(Verify()), "(none)");
}

TEST_F(VerifyLogTest, ACutAnywhereIsFound) {
  for (const std::string& file : segments_) {
    const std::string text = Read(Path(file));
    for (size_t size = text.size(); size-- > 0;) {
      std::filesystem::resize_file(Path(file), size);
      EXPECT_TRUE(Verify().broken.has_value()) << file << " cut to " << size;
    }
    Write(Path(file), text);
  }
}

TEST_F(VerifyLogTest, AByteTakenOutOrPutInIsFound) {
  for (const std::string& file : segments_) {
    const std::string text = Read(Path(file));
    for (size_t i = 0; i < text.size(); i += 7) {
      Write(Path(file), std::string(text).erase(i, 1));
      EXPECT_TRUE(Verify().broken.has_value()) << file << " without " << i;
      Write(Path(file), std::string(text).insert(i, " "));
      EXPECT_TRUE(Verify().broken.has_value()) << file << " with a space at " << i;
    }
    Write(Path(file), text + "\n");
    EXPECT_TRUE(Verify().broken.has_value()) << file << " with an empty line";
    Write(Path(file), text);
  }
}

TEST_F(VerifyLogTest, AFileThatIsGoneIsFound) {
  std::vector<std::string> files = segments_;
  files.push_back(kLogHeadFile);
  for (const std::string& file : files) {
    const std::string text = Read(Path(file));
    std::filesystem::remove(Path(file));
    EXPECT_TRUE(Verify().broken.has_value()) << file;
    Write(Path(file), text);
  }
  EXPECT_EQ(BreakOf(Verify()), "(none)");
}

TEST_F(VerifyLogTest, SaysWhichFileIsGone) {
  const std::string text = Read(Path(segments_[0]));
  std::filesystem::remove(Path(segments_[0]));
  EXPECT_THAT(BreakOf(Verify()), HasSubstr(absl::StrCat(segments_[0], ":0 12 is missing")));
  Write(Path(segments_[0]), text);
  std::filesystem::remove(Path(segments_[1]));
  EXPECT_THAT(BreakOf(Verify()),
              HasSubstr(absl::StrCat(segments_[2], ":1 4 its sequence is 9, wanted 5")));
}

TEST_F(VerifyLogTest, ALogWithoutItsLastFileEndsBeforeItsHead) {
  std::filesystem::remove(Path(segments_[2]));
  EXPECT_THAT(BreakOf(Verify()),
              HasSubstr("ends with record 8, but the log's head says that record 12"));
}

TEST_F(VerifyLogTest, AHeadWithoutSegmentsIsFound) {
  for (const std::string& file : segments_) std::filesystem::remove(Path(file));
  EXPECT_THAT(BreakOf(Verify()), HasSubstr("no segment"));
}

TEST_F(VerifyLogTest, RecordsThatChangePlacesAreFound) {
  for (const std::string& file : segments_) {
    const std::string text = Read(Path(file));
    std::vector<std::string> lines = absl::StrSplit(text, '\n');
    lines.pop_back();
    for (size_t i = 0; i < lines.size(); ++i) {
      for (size_t j = i + 1; j < lines.size(); ++j) {
        std::vector<std::string> swapped = lines;
        std::swap(swapped[i], swapped[j]);
        Write(Path(file), absl::StrJoin(swapped, "\n") + "\n");
        const LogReport report = Verify();
        ASSERT_TRUE(report.broken.has_value()) << file << " " << i << " " << j;
        EXPECT_EQ(report.broken->file, file);
        EXPECT_EQ(report.broken->line, i + 1);
      }
    }
    Write(Path(file), text);
  }
}

TEST_F(VerifyLogTest, ARecordThatIsTakenOutOrDoubledIsFound) {
  const std::string text = Read(Path(segments_[1]));
  std::vector<std::string> lines = absl::StrSplit(text, '\n');
  lines.pop_back();
  for (size_t i = 0; i < lines.size(); ++i) {
    std::vector<std::string> changed = lines;
    changed.erase(changed.begin() + static_cast<std::ptrdiff_t>(i));
    Write(Path(segments_[1]), absl::StrJoin(changed, "\n") + "\n");
    EXPECT_TRUE(Verify().broken.has_value()) << "without " << i;
    changed = lines;
    changed.insert(changed.begin() + static_cast<std::ptrdiff_t>(i), lines[i]);
    Write(Path(segments_[1]), absl::StrJoin(changed, "\n") + "\n");
    EXPECT_TRUE(Verify().broken.has_value()) << "twice " << i;
  }
}

TEST_F(VerifyLogTest, FilesThatChangeNamesAreFound) {
  const std::string first = Read(Path(segments_[0])), second = Read(Path(segments_[1]));
  Write(Path(segments_[0]), second);
  Write(Path(segments_[1]), first);
  EXPECT_THAT(BreakOf(Verify()), HasSubstr("the file is named after 1"));
}

// Whoever can write the folder can write a chain of hashes that holds: a head elsewhere tells.
TEST_F(VerifyLogTest, ALogWrittenAnewIsFoundByAHeadFromElsewhere) {
  const auto head = ReadLogHead(Path(kLogHeadFile));
  ASSERT_TRUE(head.ok() && head->has_value());
  std::filesystem::remove_all(folder());
  {
    const auto writer = Open({.router = 7});
    Append(*writer, 20);
  }
  EXPECT_EQ(BreakOf(Verify()), "(none)");
  const auto report = VerifyLog(folder(), **head);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(BreakOf(*report), HasSubstr("is not the record that the head has the hash of"));
}

TEST_F(VerifyLogTest, AnotherFoldersSegmentIsFound) {
  const std::string other = dir_.File("other");
  {
    clock_.Advance(absl::Seconds(1));
    const auto writer = LogWriter::Open(other, {.router = 8}, clock_);
    ASSERT_TRUE(writer.ok());
    Append(**writer, 2);
  }
  Write(Path(segments_[0]), Read(absl::StrCat(other, "/", segments_[0])));
  EXPECT_TRUE(Verify().broken.has_value());
}

TEST_F(VerifyLogTest, WithoutAFolderOrALogSaysSo) {
  EXPECT_EQ(VerifyLog(dir_.File("nowhere")).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(VerifyLog(dir_.path()).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(VerifyLogTest, ALogThatIsBeingWrittenIsWhole) {
  const auto writer = Open({.router = 7});
  for (int i = 0; i < 5; ++i) {
    Append(*writer, 3);
    ASSERT_TRUE(writer->Sync().ok());
    const LogReport report = Verify();
    EXPECT_EQ(BreakOf(report), "(none)");
    EXPECT_FALSE(report.stopped);
    EXPECT_EQ(report.head->sequence, report.last_sequence);
  }
}

}  // namespace
}  // namespace penstock::router
