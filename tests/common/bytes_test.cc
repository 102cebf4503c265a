#include "common/bytes.h"

#include <memory>
#include <string>

#include "gmock/gmock.h"

namespace penstock {
namespace {

Bytes InPieces() {
  Bytes bytes(std::string("abc"));
  bytes.Append(std::string("de"));
  bytes.Append(Bytes::Static("fgh"));
  return bytes;
}

TEST(BytesTest, HoldsAStringWithoutPiecesForNothing) {
  EXPECT_EQ(Bytes(std::string()).pieces().size(), 0);
  EXPECT_EQ(Bytes(std::string("abc")).ToString(), "abc");
  EXPECT_TRUE(Bytes().empty());
}

TEST(BytesTest, AppendSharesTheBytesOfTheOther) {
  const Bytes tail(std::string(1000, 'x'));
  Bytes bytes(std::string("head"));
  bytes.Append(tail);
  ASSERT_EQ(bytes.pieces().size(), 2);
  EXPECT_EQ(bytes.pieces()[1].data.data(), tail.pieces()[0].data.data());
  EXPECT_EQ(bytes.size(), 1004);
}

TEST(BytesTest, SliceCrossesPieces) {
  EXPECT_EQ(InPieces().Slice(2, 4).ToString(), "cdef");
  EXPECT_EQ(InPieces().Slice(2, 4).pieces().size(), 3);
}

TEST(BytesTest, SliceOfNothingIsEmpty) {
  EXPECT_TRUE(InPieces().Slice(8, 0).empty());
  EXPECT_TRUE(InPieces().Slice(3, 0).empty());
}

TEST(BytesTest, SliceKeepsItsBytesAlive) {
  Bytes slice;
  {
    const Bytes bytes(std::string(100, 'y') + "z");
    slice = bytes.Slice(99, 2);
  }
  EXPECT_EQ(slice.ToString(), "yz");
}

TEST(BytesTest, FlatCopiesOnlyWhatIsInPieces) {
  std::string storage;
  const Bytes one(std::string("abcdefgh"));
  EXPECT_EQ(one.Flat(storage).data(), one.pieces()[0].data.data());
  EXPECT_TRUE(storage.empty());
  EXPECT_EQ(InPieces().Flat(storage), "abcdefgh");
  EXPECT_EQ(storage, "abcdefgh");
}

TEST(BytesTest, FlattenedHasOnePiece) {
  EXPECT_EQ(InPieces().Flattened().pieces().size(), 1);
  EXPECT_EQ(InPieces().Flattened().ToString(), "abcdefgh");
}

TEST(BytesTest, EqualityIsOfBytesNotOfPieces) {
  EXPECT_EQ(InPieces(), Bytes(std::string("abcdefgh")));
  EXPECT_FALSE(InPieces() == Bytes(std::string("abcdefgx")));
  EXPECT_FALSE(InPieces() == Bytes(std::string("abc")));
}

}  // namespace
}  // namespace penstock
