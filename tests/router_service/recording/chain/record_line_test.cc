#include "router_service/recording/chain/record_line.h"

#include "gtest/gtest.h"
#include "router_service/recording/chain/log_head.h"

namespace penstock::router {
namespace {

// Of another implementation: Python's hashlib.blake2b(previous + record, digest_size=32).
TEST(RecordHashTest, IsBlake2bOf32Bytes) {
  EXPECT_EQ(HashToHex(HashRecord({}, "{\"sequence\":\"1\"}")),
            "b0e3c6e33b6ae65686454f63b80b7e35bf86540a7a5e2d1680f7a31de70dec15");
  RecordHash rising;
  for (size_t i = 0; i < rising.size(); ++i) rising[i] = static_cast<uint8_t>(i);
  EXPECT_EQ(HashToHex(HashRecord(rising, "")),
            "cb2f5160fc1f7e05a55ef49d340b48da2e5a78099d53393351cd579dd42503d6");
}

TEST(RecordHashTest, HexGoesThereAndBackAndNothingElseIsTaken) {
  const RecordHash hash = HashRecord({}, "a");
  RecordHash read{};
  EXPECT_TRUE(HashFromHex(HashToHex(hash), read));
  EXPECT_EQ(read, hash);
  std::string capital = HashToHex(hash);
  capital[0] = 'A';
  EXPECT_FALSE(HashFromHex(capital, read));
  EXPECT_FALSE(HashFromHex(HashToHex(hash).substr(1), read));
}

std::string ALine() {
  std::string record, line;
  AppendRecord(12, absl::FromUnixNanos(1'500'000'000'123'456'789), RecordKind::kAudit,
               "{\"tenant\":\"a\"}", record);
  AppendRecordLine({}, HashRecord({}, record), record, line);
  line.pop_back();
  return line;
}

TEST(RecordLineTest, ComesBack) {
  const std::string text = ALine();
  const auto line = ParseRecordLine(text);
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(line->record,
            "{\"sequence\":\"12\",\"time\":\"2017-07-14T02:40:00.123456789Z\",\"audit\":"
            "{\"tenant\":\"a\"}}");
  EXPECT_EQ(line->hash, HashRecord({}, line->record));
  const auto record = ParseRecord(line->record);
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->sequence, 12u);
  EXPECT_EQ(record->time, "2017-07-14T02:40:00.123456789Z");
  EXPECT_EQ(record->kind, RecordKind::kAudit);
  EXPECT_EQ(record->content, "{\"tenant\":\"a\"}");
}

TEST(RecordLineTest, NoPartOfOneIsALine) {
  const std::string text = ALine();
  for (size_t size = 0; size < text.size(); ++size) {
    const auto line = ParseRecordLine(absl::string_view(text).substr(0, size));
    if (!line.ok()) continue;
    EXPECT_FALSE(ParseRecord(line->record).ok()) << size;
  }
}

TEST(RecordLineTest, SaysWhatIsMalformed) {
  const auto problem = [](absl::string_view record) {
    return std::string(ParseRecord(record).status().message());
  };
  EXPECT_EQ(problem("{\"sequence\":\"012\",\"time\":\"2017-07-14T02:40:00Z\",\"gap\":{}}"),
            "no record: its sequence is malformed");
  EXPECT_EQ(problem("{\"sequence\":\"12\",\"time\":\"today\",\"gap\":{}}"),
            "no record: its time is malformed");
  EXPECT_EQ(problem("{\"sequence\":\"12\",\"time\":\"2017-07-14T02:40:00Z\",\"hole\":{}}"),
            "no record: its kind is malformed");
  EXPECT_EQ(problem("{\"sequence\":\"12\",\"time\":\"2017-07-14T02:40:00Z\",\"gap\":3}"),
            "no record: its content is malformed");
}

TEST(RecordLineTest, KindsHaveTheNamesOfTheSchema) {
  for (int i = 0; i < kRecordKinds; ++i) {
    RecordKind kind{};
    EXPECT_TRUE(RecordKindOf(RecordKindName(static_cast<RecordKind>(i)), kind));
    EXPECT_EQ(static_cast<int>(kind), i);
  }
  RecordKind kind{};
  EXPECT_FALSE(RecordKindOf("hole", kind));
}

TEST(LogHeadTest, IsTakenOnlyAsItIsWritten) {
  const LogHead head{.log = "0123456789abcdef", .sequence = 42, .hash = HashRecord({}, "a")};
  const std::string text = FormatLogHead(head);
  const auto read = ParseLogHead(text);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, head);
  for (size_t i = 0; i < text.size(); ++i) {
    std::string changed = text;
    changed[i] ^= 1;
    const auto other = ParseLogHead(changed);
    EXPECT_TRUE(!other.ok() || !(*other == head)) << i;
    EXPECT_FALSE(ParseLogHead(absl::string_view(text).substr(0, i)).ok()) << i;
  }
}

}  // namespace
}  // namespace penstock::router
