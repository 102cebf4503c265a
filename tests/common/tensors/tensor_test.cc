#include "common/tensors/tensor.h"

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "tests/support/status_matchers.h"

namespace penstock {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr int64_t kHuge = int64_t{1} << 62;

template <typename T>
Tensor TensorOf(DataType type, std::vector<T> values) {
  std::string data(values.size() * sizeof(T), '\0');
  std::memcpy(data.data(), values.data(), data.size());
  return {.name = "x",
          .datatype = type,
          .shape = {static_cast<int64_t>(values.size())},
          .data = Bytes(std::move(data))};
}

TEST(ElementCountTest, IsTheProduct) {
  EXPECT_THAT(ElementCount({2, 3, 4}), IsOkAndHolds(24));
  EXPECT_THAT(ElementCount({}), IsOkAndHolds(1));
  EXPECT_THAT(ElementCount({2, 0, 3}), IsOkAndHolds(0));
}

TEST(ElementCountTest, RefusesNegativeDimensionsAndOverflow) {
  EXPECT_THAT(ElementCount({2, -1}), StatusIs(kInvalid, HasSubstr("[2,-1]")));
  EXPECT_THAT(ElementCount({0, -1}), StatusIs(kInvalid));
  EXPECT_THAT(ElementCount({kHuge, 4}), StatusIs(kInvalid, HasSubstr("2^63")));
}

TEST(ElementCountTest, ZeroBeatsOverflow) {
  EXPECT_THAT(ElementCount({kHuge, 4, 0}), IsOkAndHolds(0));
}

TEST(ShapeStringTest, ShowsAtMost16Dimensions) {
  EXPECT_EQ(ShapeString({2, -1}), "[2,-1]");
  EXPECT_EQ(ShapeString({}), "[]");
  EXPECT_EQ(ShapeString(std::vector<int64_t>(1000, 1)), "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,...]");
}

TEST(ValidateTensorTest, WantsTheExactSize) {
  Tensor tensor = FloatTensor("x", {2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_THAT(ValidateTensor(tensor), IsOk());
  tensor.shape = {2, 2};
  EXPECT_THAT(ValidateTensor(tensor),
              StatusIs(kInvalid, "'x': FP32 of shape [2,2] takes 16 bytes, got 24"));
}

TEST(ValidateTensorTest, RefusesSizesBeyond63Bits) {
  Tensor tensor = FloatTensor("x", {kHuge}, {});
  EXPECT_THAT(ValidateTensor(tensor), StatusIs(kInvalid, HasSubstr("more than 2^63 bytes")));
}

TEST(ValidateTensorTest, AcceptsNoElements) {
  EXPECT_THAT(ValidateTensor(FloatTensor("x", {0, 784}, {})), IsOk());
  EXPECT_THAT(ValidateTensor(StringTensor("x", {0}, {})), IsOk());
}

TEST(ValidateTensorTest, WalksTheLengthsOfBytes) {
  Tensor tensor = StringTensor("x", {2}, {"ab", ""});
  EXPECT_THAT(ValidateTensor(tensor), IsOk());
  tensor.shape = {3};
  EXPECT_THAT(ValidateTensor(tensor),
              StatusIs(kInvalid, "'x': BYTES of shape [3] has 3 elements, got bytes for 2"));
  tensor.shape = {1};
  EXPECT_THAT(ValidateTensor(tensor),
              StatusIs(kInvalid, "'x': BYTES of shape [1] takes 6 bytes by its lengths, got 10"));
}

TEST(ValidateTensorTest, RefusesALengthBeyondTheEnd) {
  const Tensor tensor{.name = "x",
                      .datatype = DataType::kBytes,
                      .shape = {1},
                      .data = Bytes(std::string("\xFF\xFF\xFF\xFFzz", 6))};
  EXPECT_THAT(ValidateTensor(tensor),
              StatusIs(kInvalid, "'x': BYTES element 0 has 4294967295 bytes, got 2"));
}

TEST(ToFloatsTest, ConvertsEveryNumericDatatype) {
  EXPECT_THAT(ToFloats(TensorOf<uint8_t>(DataType::kBool, {0, 1, 2})),
              IsOkAndHolds(ElementsAre(0, 1, 1)));
  EXPECT_THAT(ToFloats(TensorOf<uint8_t>(DataType::kUint8, {255})), IsOkAndHolds(ElementsAre(255)));
  EXPECT_THAT(ToFloats(TensorOf<uint16_t>(DataType::kUint16, {65535})),
              IsOkAndHolds(ElementsAre(65535)));
  EXPECT_THAT(ToFloats(TensorOf<uint32_t>(DataType::kUint32, {1u << 31})),
              IsOkAndHolds(ElementsAre(0x1p31f)));
  EXPECT_THAT(ToFloats(TensorOf<uint64_t>(DataType::kUint64, {uint64_t{1} << 63})),
              IsOkAndHolds(ElementsAre(0x1p63f)));
  EXPECT_THAT(ToFloats(TensorOf<int8_t>(DataType::kInt8, {-128})), IsOkAndHolds(ElementsAre(-128)));
  EXPECT_THAT(ToFloats(TensorOf<int16_t>(DataType::kInt16, {-2})), IsOkAndHolds(ElementsAre(-2)));
  EXPECT_THAT(ToFloats(TensorOf<int32_t>(DataType::kInt32, {-3})), IsOkAndHolds(ElementsAre(-3)));
  EXPECT_THAT(ToFloats(TensorOf<int64_t>(DataType::kInt64, {-4})), IsOkAndHolds(ElementsAre(-4)));
  EXPECT_THAT(ToFloats(TensorOf<uint16_t>(DataType::kFp16, {0x3C00})),
              IsOkAndHolds(ElementsAre(1)));
  EXPECT_THAT(ToFloats(TensorOf<uint16_t>(DataType::kBf16, {0xC040})),
              IsOkAndHolds(ElementsAre(-3)));
  EXPECT_THAT(ToFloats(TensorOf<float>(DataType::kFp32, {0.5f})), IsOkAndHolds(ElementsAre(0.5f)));
  EXPECT_THAT(ToFloats(TensorOf<double>(DataType::kFp64, {0.25})),
              IsOkAndHolds(ElementsAre(0.25f)));
}

TEST(ToFloatsTest, ReadsAcrossPieces) {
  Tensor tensor = FloatTensor("x", {2}, {1.5f, 2.5f});
  Bytes pieces;
  for (const char byte : tensor.data.ToString()) pieces.Append(std::string(1, byte));
  tensor.data = pieces;
  EXPECT_THAT(ToFloats(tensor), IsOkAndHolds(ElementsAre(1.5f, 2.5f)));
}

TEST(ToFloatsTest, RefusesBytes) {
  EXPECT_THAT(ToFloats(StringTensor("x", {1}, {"a"})),
              StatusIs(kInvalid, "'x': wanted a numeric datatype, got BYTES"));
}

TEST(ToStringsTest, ReturnsWhatStringTensorWrote) {
  EXPECT_THAT(ToStrings(StringTensor("x", {3}, {"a", "", std::string("\0b", 2)})),
              IsOkAndHolds(ElementsAre("a", "", std::string("\0b", 2))));
  EXPECT_THAT(ToStrings(FloatTensor("x", {1}, {1})),
              StatusIs(kInvalid, "'x': wanted BYTES, got FP32"));
}

TEST(SliceRowsTest, SharesTheRows) {
  const Tensor tensor = FloatTensor("x", {3, 2}, {1, 2, 3, 4, 5, 6});
  ASSERT_OK_AND_ASSIGN(const Tensor slice, SliceRows(tensor, 1, 2));
  EXPECT_THAT(slice.shape, ElementsAre(2, 2));
  EXPECT_THAT(ToFloats(slice), IsOkAndHolds(ElementsAre(3, 4, 5, 6)));
  EXPECT_EQ(slice.data.pieces()[0].data.data(), tensor.data.pieces()[0].data.data() + 8);
}

TEST(SliceRowsTest, CutsBytesByTheirLengths) {
  const Tensor tensor = StringTensor("x", {3, 2}, {"a", "bb", "", "dddd", "e", "ff"});
  ASSERT_OK_AND_ASSIGN(const Tensor slice, SliceRows(tensor, 1, 1));
  EXPECT_THAT(slice.shape, ElementsAre(1, 2));
  EXPECT_THAT(ToStrings(slice), IsOkAndHolds(ElementsAre("", "dddd")));
}

TEST(SliceRowsTest, OfNoRowsIsEmpty) {
  ASSERT_OK_AND_ASSIGN(const Tensor slice, SliceRows(FloatTensor("x", {2, 1}, {1, 2}), 2, 0));
  EXPECT_THAT(slice.shape, ElementsAre(0, 1));
  EXPECT_THAT(ToFloats(slice), IsOkAndHolds(IsEmpty()));
}

TEST(SliceRowsTest, RefusesRowsThatAreNotThere) {
  const Tensor tensor = FloatTensor("x", {2, 1}, {1, 2});
  EXPECT_THAT(SliceRows(tensor, 1, 2), StatusIs(kInvalid, "'x': wanted 2 rows from row 1, got 2"));
  EXPECT_THAT(SliceRows(tensor, -1, 1), StatusIs(kInvalid));
  EXPECT_THAT(SliceRows(tensor, 0, INT64_MAX), StatusIs(kInvalid));
  EXPECT_THAT(SliceRows(FloatTensor("x", {}, {1}), 0, 1),
              StatusIs(kInvalid, "'x': a scalar has no rows"));
}

}  // namespace
}  // namespace penstock
