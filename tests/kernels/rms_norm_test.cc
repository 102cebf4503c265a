#include "kernels/rms_norm/rms_norm.h"

#include "tests/kernels/kernel_test.h"

namespace penstock::kernels {
namespace {

using RmsNormTest = KernelTest<RmsNormImpl, RmsNormImpls>;
INSTANTIATE_TEST_SUITE_P(All, RmsNormTest, testing::ValuesIn(Names(RmsNormImpls())), ParamName);

TEST_P(RmsNormTest, MatchesReference) {
  for (int64_t dim : {1, 2, 7, 8, 15, 16, 17, 64, 100, 257, 2880}) {
    const std::vector<float> x = RandomFloats(3 * dim, 1, 5.0f), weight = RandomFloats(dim, 2);
    std::vector<float> y = Poison(3 * dim), expected = Poison(3 * dim);
    ASSERT_TRUE(impl().run({3, dim, x.data(), weight.data(), 1e-6f, y.data()}).ok());
    ASSERT_TRUE(reference().run({3, dim, x.data(), weight.data(), 1e-6f, expected.data()}).ok());
    EXPECT_LE(RelativeError(y, expected), kTolerance) << dim;
  }
}

TEST_P(RmsNormTest, DividesByRootMeanSquare) {
  const float x[] = {3, 4}, weight[] = {1, 10};  // mean square 12.5
  std::vector<float> y = Poison(2);
  ASSERT_TRUE(impl().run({1, 2, x, weight, 0.0f, y.data()}).ok());
  EXPECT_NEAR(y[0], 3 / std::sqrt(12.5), 1e-6);
  EXPECT_NEAR(y[1], 40 / std::sqrt(12.5), 1e-5);
}

TEST_P(RmsNormTest, EpsKeepsZerosFinite) {
  const float x[] = {0, 0, 0}, weight[] = {1, 1, 1};
  std::vector<float> y = Poison(3);
  ASSERT_TRUE(impl().run({1, 3, x, weight, 1e-6f, y.data()}).ok());
  EXPECT_EQ(y, (std::vector<float>{0, 0, 0}));
}

TEST_P(RmsNormTest, RowAloneEqualsRowInAnyBatch) {
  constexpr int64_t kDim = 37;
  const std::vector<float> x = RandomFloats(67 * kDim, 1), weight = RandomFloats(kDim, 2);
  std::vector<float> batch = Poison(67 * kDim), alone = Poison(kDim);
  ASSERT_TRUE(impl().run({67, kDim, x.data(), weight.data(), 1e-6f, batch.data()}).ok());
  for (int64_t row = 0; row < 67; ++row) {
    ASSERT_TRUE(
        impl().run({1, kDim, x.data() + row * kDim, weight.data(), 1e-6f, alone.data()}).ok());
    EXPECT_TRUE(SameBits(alone.data(), batch.data() + row * kDim, kDim)) << row;
  }
}

TEST_P(RmsNormTest, WorksInPlace) {
  const std::vector<float> x = RandomFloats(2 * 19, 1), weight = RandomFloats(19, 2);
  std::vector<float> y = Poison(2 * 19), in_place = x;
  ASSERT_TRUE(impl().run({2, 19, x.data(), weight.data(), 1e-6f, y.data()}).ok());
  ASSERT_TRUE(impl().run({2, 19, in_place.data(), weight.data(), 1e-6f, in_place.data()}).ok());
  EXPECT_TRUE(SameBits(y.data(), in_place.data(), 2 * 19));
}

TEST_P(RmsNormTest, NanStaysInItsRow) {
  std::vector<float> x = RandomFloats(3 * 5, 1), weight = RandomFloats(5, 2), y = Poison(15);
  x[7] = kNan;
  ASSERT_TRUE(impl().run({3, 5, x.data(), weight.data(), 1e-6f, y.data()}).ok());
  for (int64_t i = 0; i < 15; ++i) EXPECT_EQ(std::isnan(y[i]), i / 5 == 1) << i;
}

TEST_P(RmsNormTest, EmptyWorkTouchesNothing) {
  EXPECT_TRUE(impl().run({0, 5, nullptr, nullptr, 1e-6f, nullptr}).ok());
  EXPECT_EQ(impl().run({1, 5, nullptr, nullptr, 1e-6f, nullptr}).code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace penstock::kernels
