// A log against the heads of it that are kept elsewhere.
#include "router_service/recording/chain/kept_heads.h"

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "tests/router_service/recording/chain/log_folder.h"

namespace penstock::router {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr char kLog[] = "0123456789abcdef";

LogHead Head(uint64_t sequence, uint8_t hash = 1) {
  LogHead head = {.log = kLog, .sequence = sequence, .hash = {}};
  head.hash[0] = hash;
  return head;
}
std::vector<uint64_t> Sequences(const std::vector<LogHead>& heads) {
  std::vector<uint64_t> sequences;
  for (const LogHead& head : heads) sequences.push_back(head.sequence);
  return sequences;
}

TEST(KeptHeadsTest, WhatIsKeptIsRead) {
  const std::vector<LogHead> heads = {Head(1), Head(7, 9)};
  size_t others = 1;
  EXPECT_EQ(ParseKeptHeads(kLog, FormatKeptHeads(heads), others), heads);
  EXPECT_EQ(others, 0u);
}

TEST(KeptHeadsTest, WhatIsNoHeadOfTheLogIsCounted) {
  size_t others = 0;
  const std::string text = absl::StrCat("nonsense\n", FormatLogHead(Head(3)), "{}\n");
  EXPECT_THAT(Sequences(ParseKeptHeads(kLog, text, others)), ElementsAre(3));
  EXPECT_EQ(others, 2u);
  EXPECT_THAT(ParseKeptHeads("fedcba9876543210", text, others), IsEmpty());
  EXPECT_EQ(others, 3u);
  const std::vector<LogHead> many(kMostKeptHeads + 5, Head(3));
  EXPECT_THAT(ParseKeptHeads(kLog, FormatKeptHeads(many), others), SizeIs(kMostKeptHeads));
  EXPECT_EQ(others, 5u);
}

TEST(KeptHeadsTest, OfTooManyTheOldestGo) {
  std::vector<LogHead> kept;
  for (uint64_t i = 1; i <= kMostKeptHeads; ++i) kept.push_back(Head(i));
  const std::vector<uint64_t> left = Sequences(HeadsBefore(kept, Head(100)));
  EXPECT_THAT(left, SizeIs(kMostKeptHeads - 2));
  EXPECT_EQ(left.front(), 3u);
  EXPECT_EQ(left.back(), kMostKeptHeads);
}

TEST(KeptHeadsTest, WhatShowsACutStaysHoweverOftenTheRouterStarts) {
  // A run to record 100, a cut to 40, and then run after run.
  std::vector<LogHead> kept = {Head(1), Head(100)};
  uint64_t sequence = 41;
  for (int run = 0; run < 500; ++run) {
    const LogHead first = Head(sequence, 2), last = Head(sequence + 8, 2);
    kept = HeadsBefore(std::move(kept), first);
    EXPECT_EQ(NotContinued(kept, first) != nullptr, sequence <= 100) << sequence;
    kept.push_back(first);
    kept.push_back(last);
    EXPECT_LE(kept.size(), kMostKeptHeads);
    sequence += 9;
  }
  EXPECT_THAT(kept, testing::Contains(Head(100)));
}

class KeptHeadsOfALogTest : public LogFolder {
 protected:
  // Writes records and syncs each; all heads that were told.
  std::vector<LogHead> Write(int records) {
    std::vector<LogHead> told;
    const auto writer =
        Open({.router = 7, .head_synced = [&](const LogHead& head) { told.push_back(head); }});
    for (int i = 0; i < records; ++i) {
      Append(*writer, 1);
      EXPECT_TRUE(writer->Sync().ok());
      images_of_[told.back().sequence] = Image();
    }
    return told;
  }
  // Puts the folder back to where that record was its last, head and all.
  void CutTo(uint64_t sequence) {
    std::filesystem::remove_all(folder());
    std::filesystem::copy(images_of_[sequence], folder());
  }
  std::string BreakOf(const std::vector<LogHead>& kept) {
    const auto report = VerifyLog(folder(), std::nullopt, kept);
    EXPECT_TRUE(report.ok()) << report.status();
    return report.ok() && report->broken.has_value() ? report->broken->what : "";
  }

  std::map<uint64_t, std::string> images_of_;
};

TEST_F(KeptHeadsOfALogTest, AWholeLogHasThemAll) {
  const std::vector<LogHead> told = Write(4);
  const auto report = VerifyLog(folder(), std::nullopt, told);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_FALSE(report->broken.has_value());
  EXPECT_EQ(report->kept_heads, told.size());
  EXPECT_EQ(report->last_kept, 6u);  // header, four records, close
  EXPECT_EQ(report->kept_before, 0u);
  EXPECT_EQ(*ReadLogId(folder()), told[0].log);
}

TEST_F(KeptHeadsOfALogTest, ACutTailWithItsHeadIsFoundByThemAlone) {
  const std::vector<LogHead> told = Write(4);
  for (uint64_t sequence = 2; sequence <= 5; ++sequence) {
    CutTo(sequence);
    EXPECT_EQ(BreakOf({}), "") << sequence;
    EXPECT_EQ(BreakOf({told.back()}),
              absl::StrCat("was cut after record ", sequence,
                           ": by a head that is kept elsewhere record 6 was on the disk"));
  }
}

TEST_F(KeptHeadsOfALogTest, ALogThatWentOnAfterACutIsFound) {
  const std::vector<LogHead> told = Write(4);
  CutTo(3);
  Write(10);
  EXPECT_EQ(BreakOf({}), "");
  EXPECT_THAT(BreakOf({told.back()}), HasSubstr("is not the record that a head kept elsewhere"));
}

TEST_F(KeptHeadsOfALogTest, BytesInPlaceOfARecordThatTheyPromiseAreABreak) {
  const std::vector<LogHead> told = Write(4);
  CutTo(4);
  std::ofstream(Path(SegmentName(1)), std::ios::app) << "{\"prev_hash\":\"00";
  EXPECT_EQ(BreakOf({}), "");  // a crash may leave that
  EXPECT_NE(BreakOf({told.back()}), "");
}

TEST_F(KeptHeadsOfALogTest, OfAnotherLogTheyAreABreak) {
  const std::vector<LogHead> told = Write(2);
  std::filesystem::remove_all(folder());
  clock_.Advance(absl::Seconds(1));
  Write(20);
  EXPECT_THAT(BreakOf({told.back()}), HasSubstr("the heads are of log"));
}

TEST_F(KeptHeadsOfALogTest, RecordsThatRetentionTookAreNotMissed) {
  std::vector<LogHead> told;
  {
    const auto writer = Open({.segment_bytes = 64 << 10,
                              .max_bytes = 256 << 10,
                              .head_synced = [&](const LogHead& head) { told.push_back(head); }});
    for (int i = 0; i < 60; ++i) {
      Append(*writer, 10, 1000);
      ASSERT_TRUE(writer->Sync().ok());
    }
  }
  const auto report = VerifyLog(folder(), std::nullopt, told);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_FALSE(report->broken.has_value());
  EXPECT_GT(report->kept_before, 0u);
  EXPECT_GT(report->kept_heads, 0u);
  EXPECT_EQ(report->kept_heads + report->kept_before, told.size());
}

}  // namespace
}  // namespace penstock::router
