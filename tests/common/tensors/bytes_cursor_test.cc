#include "common/tensors/bytes_cursor.h"

#include <string>

#include "gmock/gmock.h"

namespace penstock {
namespace {

Bytes InPieces() {
  Bytes bytes(std::string("abc"));
  bytes.Append(std::string("d"));
  bytes.Append(std::string("efgh"));
  return bytes;
}

TEST(BytesCursorTest, ReadsAcrossPieces) {
  const Bytes bytes = InPieces();
  BytesCursor cursor(bytes);
  EXPECT_EQ(cursor.ReadByte(), 'a');
  EXPECT_EQ(cursor.ReadString(5), "bcdef");
  EXPECT_EQ(cursor.offset(), 6);
  EXPECT_EQ(cursor.remaining(), 2);
}

TEST(BytesCursorTest, SkipsToTheEnd) {
  const Bytes bytes = InPieces();
  BytesCursor cursor(bytes);
  cursor.Skip(8);
  EXPECT_EQ(cursor.remaining(), 0);
  EXPECT_TRUE(cursor.run().empty());
}

TEST(BytesCursorTest, SlicesShareTheBytes) {
  const Bytes bytes = InPieces();
  BytesCursor cursor(bytes);
  cursor.Skip(2);
  const Bytes slice = cursor.ReadSlice(4);
  EXPECT_EQ(slice.ToString(), "cdef");
  EXPECT_EQ(slice.pieces()[2].data.data(), bytes.pieces()[2].data.data());
}

TEST(BytesCursorTest, HasNoRunOverNothing) {
  const Bytes bytes;
  EXPECT_TRUE(BytesCursor(bytes).run().empty());
}

}  // namespace
}  // namespace penstock
