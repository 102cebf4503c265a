#include "common/tensors/wire_reader.h"

#include <cstdint>
#include <string>

#include "gmock/gmock.h"

namespace penstock {
namespace {

using testing::StartsWith;

TEST(WireReaderTest, ReadsAVarintThatStraddlesPieces) {
  Bytes message(std::string("\xAC"));
  message.Append(std::string("\x02"));
  WireReader reader(message);
  uint64_t value = 0;
  ASSERT_TRUE(reader.ReadVarint(value));
  EXPECT_EQ(value, 300);
  EXPECT_TRUE(reader.AtLimit());
}

TEST(WireReaderTest, AVarintHasTenBytesAtMost) {
  uint64_t value = 0;
  const Bytes longest(std::string(9, '\xFF') + "\x01");
  EXPECT_TRUE(WireReader(longest).ReadVarint(value));
  EXPECT_EQ(value, UINT64_MAX);
  const Bytes overlong(std::string(10, '\xFF') + "\x01");
  WireReader reader(overlong);
  EXPECT_FALSE(reader.ReadVarint(value));
  EXPECT_EQ(reader.error(), "overlong varint at byte 10");
}

TEST(WireReaderTest, ATagHasFiveBytesAtMost) {
  uint32_t tag = 0;
  const Bytes padded(std::string("\x8A\x80\x80\x80\x00", 5));
  EXPECT_TRUE(WireReader(padded).ReadTag(tag));
  EXPECT_EQ(tag, 10);
  const Bytes overlong(std::string("\x8A\x80\x80\x80\x80\x00", 6));
  EXPECT_FALSE(WireReader(overlong).ReadTag(tag));
}

TEST(WireReaderTest, TruncationIsNamed) {
  const Bytes message(std::string("\x0A\x05xy"));
  WireReader reader(message);
  uint32_t tag = 0;
  std::string value;
  ASSERT_TRUE(reader.ReadTag(tag));
  EXPECT_FALSE(reader.ReadString(value));
  EXPECT_EQ(reader.error(), "length beyond the end at byte 2");
}

TEST(WireReaderTest, ALengthMustEndWithinTheMessageAround) {
  // A message of 2 bytes whose string claims 3; the third byte is there, but outside.
  const Bytes message(std::string("\x02\x0A\x03xyz"));
  WireReader reader(message);
  ASSERT_TRUE(reader.EnterMessage());
  uint32_t tag = 0;
  std::string value;
  ASSERT_TRUE(reader.ReadTag(tag));
  EXPECT_FALSE(reader.ReadString(value));
}

TEST(WireReaderTest, SkipsAGroupWithAllItHolds) {
  // Group 1 { group 2 { field 3: varint } field 4: "ab" }
  const Bytes message(
      std::string("\x13\x18\x05\x14\x22\x02"
                  "ab\x0C"));
  WireReader reader(message);
  EXPECT_TRUE(reader.SkipField(0x0B)) << reader.error();
  EXPECT_TRUE(reader.AtLimit());
}

TEST(WireReaderTest, AGroupMustEndWithItsOwnNumber) {
  const Bytes message(std::string("\x14"));
  WireReader reader(message);
  EXPECT_FALSE(reader.SkipField(0x0B));
  EXPECT_THAT(reader.error(), StartsWith("end of a group that did not begin"));
}

TEST(WireReaderTest, GroupsNestUpTo100Deep) {
  const auto nested = [](int depth) {
    return Bytes(std::string(depth - 1, '\x0B') + std::string(depth, '\x0C'));
  };
  const Bytes deepest = nested(100), too_deep = nested(101);
  EXPECT_TRUE(WireReader(deepest).SkipField(0x0B));
  WireReader reader(too_deep);
  EXPECT_FALSE(reader.SkipField(0x0B));
  EXPECT_THAT(reader.error(), StartsWith("groups nested too deep"));
}

TEST(WireReaderTest, RefusesUnknownWireTypesAndFieldZero) {
  const Bytes message(std::string("\x00\x00\x00\x00", 4));
  EXPECT_FALSE(WireReader(message).SkipField(0x0E));
  EXPECT_FALSE(WireReader(message).SkipField(0x0F));
  EXPECT_FALSE(WireReader(message).SkipField(0x00));
}

TEST(WireReaderTest, CountsPackedVarints) {
  const Bytes message(std::string("\x03\x01\xAC\x02"));
  WireReader reader(message);
  size_t count = 0;
  ASSERT_TRUE(reader.SkipPackedVarints(count));
  EXPECT_EQ(count, 2);
}

TEST(WireReaderTest, APackedVarintMustEndWithItsField) {
  const Bytes message(std::string("\x02\x01\xAC\x02"));
  size_t count = 0;
  EXPECT_FALSE(WireReader(message).SkipPackedVarints(count));
}

}  // namespace
}  // namespace penstock
