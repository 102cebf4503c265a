#include "kernels/softmax/softmax.h"

#include "tests/kernels/kernel_test.h"

namespace penstock::kernels {
namespace {

using SoftmaxTest = KernelTest<SoftmaxImpl, SoftmaxImpls>;
INSTANTIATE_TEST_SUITE_P(All, SoftmaxTest, testing::ValuesIn(Names(SoftmaxImpls())), ParamName);

TEST_P(SoftmaxTest, MatchesReference) {
  for (int64_t dim : {1, 2, 7, 8, 9, 15, 16, 17, 100, 257, 1000}) {
    for (float scale : {1.0f, 30.0f}) {
      const std::vector<float> x = RandomFloats(3 * dim, 1, scale);
      std::vector<float> y = Poison(3 * dim), expected = Poison(3 * dim);
      ASSERT_TRUE(impl().run({3, dim, x.data(), y.data()}).ok());
      ASSERT_TRUE(reference().run({3, dim, x.data(), expected.data()}).ok());
      EXPECT_LE(RelativeError(y, expected), kTolerance) << dim;
    }
  }
}

TEST_P(SoftmaxTest, EqualEntriesShareOne) {
  const float x[] = {88, 88, 88, 88};
  std::vector<float> y = Poison(4);
  ASSERT_TRUE(impl().run({1, 4, x, y.data()}).ok());
  EXPECT_EQ(y, (std::vector<float>{0.25f, 0.25f, 0.25f, 0.25f}));
}

TEST_P(SoftmaxTest, ExtremesNeitherOverflowNorLeaveResidue) {
  const float x[] = {3e38f, -3e38f, -kInf, 3e38f};
  std::vector<float> y = Poison(4);
  ASSERT_TRUE(impl().run({1, 4, x, y.data()}).ok());
  EXPECT_EQ(y, (std::vector<float>{0.5f, 0, 0, 0.5f}));
}

TEST_P(SoftmaxTest, NanAndInfinityStayInTheirRow) {
  std::vector<float> x = RandomFloats(4 * 18, 1), y = Poison(4 * 18);
  x[1 * 18 + 17] = kNan;
  x[2 * 18 + 3] = kInf;
  ASSERT_TRUE(impl().run({4, 18, x.data(), y.data()}).ok());
  for (int64_t i = 0; i < 18; ++i) {
    EXPECT_TRUE(std::isfinite(y[i]));
    EXPECT_TRUE(std::isnan(y[18 + i]));
    EXPECT_TRUE(std::isfinite(y[3 * 18 + i]));
  }
  EXPECT_TRUE(std::isnan(y[2 * 18 + 3]));
}

TEST_P(SoftmaxTest, RowAloneEqualsRowInAnyBatch) {
  constexpr int64_t kDim = 37;
  const std::vector<float> x = RandomFloats(67 * kDim, 1);
  std::vector<float> batch = Poison(67 * kDim), alone = Poison(kDim);
  ASSERT_TRUE(impl().run({67, kDim, x.data(), batch.data()}).ok());
  for (int64_t row = 0; row < 67; ++row) {
    ASSERT_TRUE(impl().run({1, kDim, x.data() + row * kDim, alone.data()}).ok());
    EXPECT_TRUE(SameBits(alone.data(), batch.data() + row * kDim, kDim)) << row;
  }
}

TEST_P(SoftmaxTest, WorksInPlaceAndWithoutRows) {
  const std::vector<float> x = RandomFloats(19, 1);
  std::vector<float> y = Poison(19), in_place = x;
  ASSERT_TRUE(impl().run({1, 19, x.data(), y.data()}).ok());
  ASSERT_TRUE(impl().run({1, 19, in_place.data(), in_place.data()}).ok());
  EXPECT_TRUE(SameBits(y.data(), in_place.data(), 19));
  EXPECT_TRUE(impl().run({0, 19, nullptr, nullptr}).ok());
}

}  // namespace
}  // namespace penstock::kernels
