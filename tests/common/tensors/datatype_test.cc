#include "common/tensors/datatype.h"

#include <cmath>

#include "common/tensors/float_formats.h"
#include "gmock/gmock.h"
#include "tests/support/status_matchers.h"

namespace penstock {
namespace {

TEST(DataTypeTest, NamesAndSizesAreTheProtocols) {
  struct Case {
    const char* name;
    DataType type;
    size_t size;
  };
  for (const Case& c : {Case{"BOOL", DataType::kBool, 1}, Case{"UINT8", DataType::kUint8, 1},
                        Case{"UINT16", DataType::kUint16, 2}, Case{"UINT32", DataType::kUint32, 4},
                        Case{"UINT64", DataType::kUint64, 8}, Case{"INT8", DataType::kInt8, 1},
                        Case{"INT16", DataType::kInt16, 2}, Case{"INT32", DataType::kInt32, 4},
                        Case{"INT64", DataType::kInt64, 8}, Case{"FP16", DataType::kFp16, 2},
                        Case{"BF16", DataType::kBf16, 2}, Case{"FP32", DataType::kFp32, 4},
                        Case{"FP64", DataType::kFp64, 8}, Case{"BYTES", DataType::kBytes, 0}}) {
    EXPECT_THAT(ParseDataType(c.name), IsOkAndHolds(c.type));
    EXPECT_EQ(DataTypeName(c.type), c.name);
    EXPECT_EQ(ElementSize(c.type), c.size) << c.name;
  }
}

TEST(DataTypeTest, RefusesOtherNames) {
  EXPECT_THAT(ParseDataType("FLOAT"), StatusIs(absl::StatusCode::kInvalidArgument,
                                               testing::HasSubstr("'FLOAT' is not one of BOOL")));
  EXPECT_THAT(ParseDataType("fp32"), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(ParseDataType(""), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(FloatFormatsTest, HalfIsExact) {
  EXPECT_EQ(HalfToFloat(0x3C00), 1.0f);
  EXPECT_EQ(HalfToFloat(0xC000), -2.0f);
  EXPECT_EQ(HalfToFloat(0x7BFF), 65504.0f);
  EXPECT_EQ(HalfToFloat(0x0001), 0x1p-24f);
  EXPECT_EQ(HalfToFloat(0x83FF), -0x1.ff8p-15f);
  EXPECT_EQ(HalfToFloat(0x0400), 0x1p-14f);
  EXPECT_TRUE(std::signbit(HalfToFloat(0x8000)));
  EXPECT_EQ(HalfToFloat(0x7C00), INFINITY);
  EXPECT_EQ(HalfToFloat(0xFC00), -INFINITY);
  EXPECT_TRUE(std::isnan(HalfToFloat(0x7E00)));
}

TEST(FloatFormatsTest, Bfloat16IsTheUpperHalf) {
  EXPECT_EQ(Bfloat16ToFloat(0x3F80), 1.0f);
  EXPECT_EQ(Bfloat16ToFloat(0xC040), -3.0f);
  EXPECT_TRUE(std::isnan(Bfloat16ToFloat(0x7FC0)));
}

}  // namespace
}  // namespace penstock
