// ShowValues and ShowParameter of cli/client/request_options.h.

#include <cmath>
#include <limits>

#include "cli/client/request_options.h"
#include "gtest/gtest.h"

namespace penstock::cli {
namespace {

template <typename T>
Tensor Raw(DataType datatype, const std::vector<T>& values) {
  return {.name = "y",
          .datatype = datatype,
          .shape = {static_cast<int64_t>(values.size())},
          .data = Bytes(std::string(reinterpret_cast<const char*>(values.data()),
                                    values.size() * sizeof(T)))};
}

TEST(ShowValuesTest, WritesNumbersAsJson) {
  EXPECT_EQ(ShowValues(FloatTensor("y", {3}, {0.5, -2, 1e10}), 10), "[0.5, -2, 1e+10]");
  EXPECT_EQ(ShowValues(FloatTensor("y", {0}, {}), 10), "[]");
}

TEST(ShowValuesTest, CutsAfterTheMostElementsAndSaysSo) {
  const Tensor tensor = FloatTensor("y", {3}, {1, 2, 3});
  EXPECT_EQ(ShowValues(tensor, 2), "[1, 2, ...]");
  EXPECT_EQ(ShowValues(tensor, 3), "[1, 2, 3]");
}

TEST(ShowValuesTest, IntegersAreExact) {
  EXPECT_EQ(ShowValues(Raw<int64_t>(DataType::kInt64, {9007199254740993, -16777217}), 9),
            "[9007199254740993, -16777217]");
  EXPECT_EQ(ShowValues(Raw<uint64_t>(DataType::kUint64, {std::numeric_limits<uint64_t>::max()}), 9),
            "[18446744073709551615]");
  EXPECT_EQ(ShowValues(Raw<int32_t>(DataType::kInt32, {12345678}), 9), "[12345678]");
  EXPECT_EQ(ShowValues(Raw<uint8_t>(DataType::kUint8, {65}), 9), "[65]");
  EXPECT_EQ(ShowValues(Raw<int8_t>(DataType::kInt8, {-1}), 9), "[-1]");
}

TEST(ShowValuesTest, WhatJsonCannotSayIsNull) {
  EXPECT_EQ(ShowValues(FloatTensor("y", {3}, {NAN, INFINITY, 1}), 9), "[null, null, 1]");
}

TEST(ShowValuesTest, TextIsQuotedAndEscaped) {
  const std::vector<std::string> texts = {"a\"b", "line\n", "é"};
  EXPECT_EQ(ShowValues(StringTensor("y", {3}, texts), 9), "[\"a\\\"b\", \"line\\n\", \"é\"]");
  EXPECT_EQ(ShowValues(StringTensor("y", {3}, texts), 1), "[\"a\\\"b\", ...]");
}

TEST(ShowValuesTest, BytesThatAreNoUtf8AreReplaced) {
  const std::vector<std::string> texts = {"\xff"};
  EXPECT_EQ(ShowValues(StringTensor("y", {1}, texts), 9), "[\"\xef\xbf\xbd\"]");
}

TEST(ShowValuesTest, TensorThatIsBrokenSaysHow) {
  Tensor tensor = FloatTensor("y", {2}, {1, 2});
  tensor.shape = {3};
  EXPECT_NE(ShowValues(tensor, 9).find("y"), std::string::npos);
  EXPECT_NE(ShowValues(tensor, 9).front(), '[');
}

TEST(ShowParameterTest, WritesEveryKind) {
  EXPECT_EQ(ShowParameter({}), "");
  EXPECT_EQ(ShowParameter(true), "true");
  EXPECT_EQ(ShowParameter(false), "false");
  EXPECT_EQ(ShowParameter(int64_t{-3}), "-3");
  EXPECT_EQ(ShowParameter(std::numeric_limits<uint64_t>::max()), "18446744073709551615");
  EXPECT_EQ(ShowParameter(0.001), "0.001");
  EXPECT_EQ(ShowParameter(std::string("small,large")), "small,large");
}

}  // namespace
}  // namespace penstock::cli
