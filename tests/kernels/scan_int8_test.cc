#include "kernels/scan_int8/scan_int8.h"

#include "tests/kernels/kernel_test.h"

namespace penstock::kernels {
namespace {

using ScanInt8Test = KernelTest<ScanInt8Impl, ScanInt8Impls>;
INSTANTIATE_TEST_SUITE_P(All, ScanInt8Test, testing::ValuesIn(Names(ScanInt8Impls())), ParamName);

std::vector<int8_t> RandomCodes(int64_t count, uint32_t seed) {
  std::mt19937 bits(seed);
  std::vector<int8_t> codes(static_cast<size_t>(count));
  for (int8_t& code : codes) code = static_cast<int8_t>(bits() & 0xFF);
  return codes;
}

TEST_P(ScanInt8Test, IsTheReferenceToTheBit) {
  for (const int64_t width : {1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 100, 512, 1000}) {
    const std::vector<int8_t> codes = RandomCodes(5 * width, 1), query = RandomCodes(width, 2);
    std::vector<int32_t> dots(5, -1), expected(5, -2);
    ASSERT_TRUE(impl().run({5, width, codes.data(), query.data(), dots.data()}).ok());
    ASSERT_TRUE(reference().run({5, width, codes.data(), query.data(), expected.data()}).ok());
    EXPECT_EQ(dots, expected) << width;
  }
}

TEST_P(ScanInt8Test, TheLargestSumsFit) {
  const std::vector<int8_t> lowest(kMostScanWidth, -128);
  int32_t dot = 0;
  ASSERT_TRUE(impl().run({1, kMostScanWidth, lowest.data(), lowest.data(), &dot}).ok());
  EXPECT_EQ(dot, 128 * 128 * kMostScanWidth);
}

TEST_P(ScanInt8Test, EmptyWorkTouchesNothing) {
  int32_t dot = 7;
  ASSERT_TRUE(impl().run({0, 16, nullptr, nullptr, &dot}).ok());
  EXPECT_EQ(dot, 7);
  ASSERT_TRUE(impl().run({1, 0, nullptr, nullptr, &dot}).ok());
  EXPECT_EQ(dot, 0);
}

TEST_P(ScanInt8Test, RefusesWhatCouldOverflow) {
  int32_t dot = 0;
  EXPECT_FALSE(impl().run({1, kMostScanWidth + 1, nullptr, nullptr, &dot}).ok());
  EXPECT_FALSE(impl().run({1, 16, nullptr, nullptr, &dot}).ok());
}

}  // namespace
}  // namespace penstock::kernels
