#include "router_service/recording/chain/log_reader.h"

#include <filesystem>

#include "gmock/gmock.h"
#include "tests/router_service/recording/chain/log_folder.h"

namespace penstock::router {
namespace {

using testing::HasSubstr;

class LogReaderTest : public LogFolder {
 protected:
  std::unique_ptr<LogReader> Reader() {
    auto reader = LogReader::Open(folder());
    EXPECT_TRUE(reader.ok()) << reader.status();
    return *std::move(reader);
  }
  // Sequences up to the end; 0 for a break.
  static std::vector<uint64_t> ReadOn(LogReader& reader) {
    std::vector<uint64_t> sequences;
    Record record;
    for (;;) {
      const auto more = reader.Next(record);
      if (more.ok() && !*more) return sequences;
      sequences.push_back(more.ok() ? record.sequence : 0);
    }
  }
};

TEST_F(LogReaderTest, FollowsAWriterFromSegmentToSegment) {
  auto writer = Open();
  const auto reader = Reader();
  EXPECT_EQ(ReadOn(*reader), (std::vector<uint64_t>{1}));
  Append(*writer, 2);
  ASSERT_TRUE(writer->Sync().ok());
  EXPECT_EQ(ReadOn(*reader), (std::vector<uint64_t>{2, 3}));
  EXPECT_EQ(ReadOn(*reader), (std::vector<uint64_t>{}));
  clock_.Advance(absl::Hours(1));
  Append(*writer, 1);
  ASSERT_TRUE(writer->Sync().ok());
  EXPECT_EQ(ReadOn(*reader), (std::vector<uint64_t>{4, 5, 6}));
  writer = nullptr;
  Append(*Open(), 1);
  EXPECT_EQ(ReadOn(*reader), (std::vector<uint64_t>{7, 8, 9, 10}));
  EXPECT_EQ(reader->segments(), 3u);
}

TEST_F(LogReaderTest, WaitsForALineToBeWhole) {
  { Append(*Open(), 2); }
  const std::string text = Read(Path(SegmentName(1)));
  const size_t half = text.size() / 2;
  Write(Path(SegmentName(1)), text.substr(0, half));
  const auto reader = Reader();
  const size_t before = ReadOn(*reader).size();
  EXPECT_LT(before, 4u);
  EXPECT_GT(reader->unfinished(), 0u);
  Write(Path(SegmentName(1)), text);
  EXPECT_EQ(before + ReadOn(*reader).size(), 4u);
  EXPECT_EQ(reader->unfinished(), 0u);
}

TEST_F(LogReaderTest, GoesOnWithTheSegmentAfterABreak) {
  for (int run = 0; run < 3; ++run) Append(*Open(), 2);
  const std::vector<std::string> segments = Segments();
  std::string text = Read(Path(segments[1]));
  text[text.size() / 2] ^= 1;
  Write(Path(segments[1]), text);
  const auto reader = Reader();
  const std::vector<uint64_t> read = ReadOn(*reader);
  EXPECT_EQ(std::count(read.begin(), read.end(), 0), 1);
  EXPECT_EQ(std::vector<uint64_t>(read.end() - 4, read.end()),
            (std::vector<uint64_t>{9, 10, 11, 12}));
}

TEST_F(LogReaderTest, NamesFileAndLineOfABreak) {
  { Append(*Open(), 2); }
  std::string text = Read(Path(SegmentName(1)));
  text[text.find('\n') + 200] ^= 1;
  Write(Path(SegmentName(1)), text);
  const auto reader = Reader();
  Record record;
  ASSERT_TRUE(reader->Next(record).ok());
  const auto broken = reader->Next(record);
  EXPECT_EQ(broken.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(broken.status().message(), HasSubstr(Path(SegmentName(1)) + ":2: "));
}

TEST_F(LogReaderTest, OtherFilesOfTheFolderArePassedOver) {
  { Append(*Open(), 1); }
  for (const char* name : {"segment-1.jsonl", "segment-x.jsonl", "notes.txt", "segment-"}) {
    Write(Path(name), "nothing of a log\n");
  }
  EXPECT_EQ(ReadOn(*Reader()), (std::vector<uint64_t>{1, 2, 3}));
}

TEST_F(LogReaderTest, WantsAFolderWithSegments) {
  EXPECT_EQ(LogReader::Open(dir_.File("nowhere")).status().code(), absl::StatusCode::kNotFound);
  std::filesystem::create_directory(folder());
  const auto reader = LogReader::Open(folder());
  EXPECT_EQ(reader.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(reader.status().message(), HasSubstr("wanted a decision log's directory"));
}

}  // namespace
}  // namespace penstock::router
