#include "kernels/linear/linear.h"

#include "tests/kernels/kernel_test.h"

namespace penstock::kernels {
namespace {

using LinearTest = KernelTest<LinearImpl, LinearImpls>;
INSTANTIATE_TEST_SUITE_P(All, LinearTest, testing::ValuesIn(Names(LinearImpls())), ParamName);

struct Shape {
  int64_t rows, in, out;
};

// Every tile height and width with its tails; 1024 inputs are the rows of one L1 set, 3000 more
// than one block of rows.
constexpr Shape kShapes[] = {{1, 1, 1},      {1, 128, 128}, {2, 7, 257},   {3, 64, 15},
                             {4, 31, 17},    {5, 3, 100},   {6, 100, 33},  {7, 1024, 48},
                             {12, 50, 96},   {13, 9, 161},  {49, 784, 64}, {67, 37, 83},
                             {200, 3000, 20}};

TEST_P(LinearTest, MatchesReference) {
  for (const Shape& s : kShapes) {
    const PackedLinear packed(RandomFloats(s.out * s.in, 1).data(), RandomFloats(s.out, 2).data(),
                              s.in, s.out);
    const std::vector<float> x = RandomFloats(s.rows * s.in, 3);
    const std::vector<float> residual = RandomFloats(s.rows * s.out, 4);
    std::vector<float> y = Poison(s.rows * s.out), expected = Poison(s.rows * s.out);
    LinearArgs args = {packed.weights(), s.rows, x.data(), 0, y.data(), 0, residual.data()};
    ASSERT_TRUE(impl().run(args).ok());
    args.y = expected.data();
    ASSERT_TRUE(reference().run(args).ok());
    EXPECT_LE(RelativeError(y, expected), kTolerance) << s.rows << " " << s.in << " " << s.out;
  }
}

TEST_P(LinearTest, ComputesWeightTimesInputPlusBiasPlusResidual) {
  const float weight[] = {1, 2, 3, 4, 5, 6};  // [3, 2]
  const float bias[] = {10, 20, 30};
  const float x[] = {1, -1, 2, 0.5f};
  const float residual[] = {100, 200, 300, 400, 500, 600};
  const PackedLinear packed(weight, bias, 2, 3);
  std::vector<float> y = Poison(6);
  ASSERT_TRUE(impl().run({packed.weights(), 2, x, 0, y.data(), 0, residual}).ok());
  EXPECT_EQ(y, (std::vector<float>{109, 219, 329, 413, 528, 643}));
}

TEST_P(LinearTest, RowAloneEqualsRowInAnyBatch) {
  for (const Shape& s : {Shape{67, 37, 83}, Shape{67, 1024, 33}, Shape{67, 128, 256}}) {
    const PackedLinear packed(RandomFloats(s.out * s.in, 1).data(), nullptr, s.in, s.out);
    const std::vector<float> x = RandomFloats(s.rows * s.in, 3);
    std::vector<float> alone = Poison(s.rows * s.out);
    for (int64_t row = 0; row < s.rows; ++row) {
      ASSERT_TRUE(impl()
                      .run({packed.weights(), 1, x.data() + row * s.in, 0,
                            alone.data() + row * s.out, 0, nullptr})
                      .ok());
    }
    for (int64_t rows = 1; rows <= s.rows; ++rows) {
      std::vector<float> y = Poison(rows * s.out);
      ASSERT_TRUE(impl().run({packed.weights(), rows, x.data(), 0, y.data(), 0, nullptr}).ok());
      ASSERT_TRUE(SameBits(y.data(), alone.data(), rows * s.out)) << rows << " rows, " << s.in;
    }
  }
}

TEST_P(LinearTest, BlocksOfRowsDoNotChangeARow) {
  constexpr int64_t kRows = 300, kIn = 2000, kOut = 18;  // several blocks of rows
  const PackedLinear packed(RandomFloats(kOut * kIn, 1).data(), nullptr, kIn, kOut);
  const std::vector<float> x = RandomFloats(kRows * kIn, 3);
  std::vector<float> y = Poison(kRows * kOut), alone = Poison(kOut);
  ASSERT_TRUE(impl().run({packed.weights(), kRows, x.data(), 0, y.data(), 0, nullptr}).ok());
  for (int64_t row : {0, 31, 32, 33, 150, 299}) {
    ASSERT_TRUE(
        impl().run({packed.weights(), 1, x.data() + row * kIn, 0, alone.data(), 0, nullptr}).ok());
    EXPECT_TRUE(SameBits(alone.data(), y.data() + row * kOut, kOut)) << row;
  }
}

TEST_P(LinearTest, StridesLeaveTheGapsAlone) {
  constexpr int64_t kRows = 5, kIn = 9, kOut = 19, kXStride = 11, kYStride = 24;
  const PackedLinear packed(RandomFloats(kOut * kIn, 1).data(), nullptr, kIn, kOut);
  std::vector<float> x = Poison(kRows * kXStride), dense = RandomFloats(kRows * kIn, 3);
  for (int64_t r = 0; r < kRows; ++r) {
    std::copy_n(dense.data() + r * kIn, kIn, x.data() + r * kXStride);
  }
  std::vector<float> y(static_cast<size_t>(kRows * kYStride), 7.0f);
  std::vector<float> expected = Poison(kRows * kOut);
  ASSERT_TRUE(
      impl().run({packed.weights(), kRows, x.data(), kXStride, y.data(), kYStride, nullptr}).ok());
  ASSERT_TRUE(
      impl().run({packed.weights(), kRows, dense.data(), 0, expected.data(), 0, nullptr}).ok());
  for (int64_t r = 0; r < kRows; ++r) {
    EXPECT_TRUE(SameBits(y.data() + r * kYStride, expected.data() + r * kOut, kOut));
    for (int64_t c = kOut; c < kYStride; ++c) EXPECT_EQ(y[r * kYStride + c], 7.0f);
  }
}

TEST_P(LinearTest, OutputMayBeTheResidual) {
  const PackedLinear packed(RandomFloats(20 * 8, 1).data(), nullptr, 8, 20);
  const std::vector<float> x = RandomFloats(3 * 8, 2), residual = RandomFloats(3 * 20, 3);
  std::vector<float> y = Poison(60), in_place = residual;
  ASSERT_TRUE(impl().run({packed.weights(), 3, x.data(), 0, y.data(), 0, residual.data()}).ok());
  ASSERT_TRUE(
      impl().run({packed.weights(), 3, x.data(), 0, in_place.data(), 0, in_place.data()}).ok());
  EXPECT_TRUE(SameBits(y.data(), in_place.data(), 60));
}

TEST_P(LinearTest, NanStaysInItsRow) {
  const PackedLinear packed(RandomFloats(20 * 8, 1).data(), nullptr, 8, 20);
  std::vector<float> x = RandomFloats(7 * 8, 2), y = Poison(7 * 20);
  x[3 * 8 + 5] = kNan;
  ASSERT_TRUE(impl().run({packed.weights(), 7, x.data(), 0, y.data(), 0, nullptr}).ok());
  for (int64_t i = 0; i < 7 * 20; ++i) EXPECT_EQ(std::isnan(y[i]), i / 20 == 3) << i;
}

TEST_P(LinearTest, EmptyWorkTouchesNothing) {
  const PackedLinear packed(RandomFloats(6, 1).data(), nullptr, 2, 3),
      no_outputs(nullptr, nullptr, 2, 0);
  const std::vector<float> x = RandomFloats(4, 2);
  EXPECT_TRUE(impl().run({packed.weights(), 0, nullptr, 0, nullptr, 0, nullptr}).ok());
  EXPECT_TRUE(impl().run({no_outputs.weights(), 2, x.data(), 0, nullptr, 0, nullptr}).ok());
}

TEST_P(LinearTest, WithoutInputsGivesTheBias) {
  const float bias[] = {1, 2, 3};
  const PackedLinear packed(nullptr, bias, 0, 3);
  std::vector<float> y = Poison(6);
  ASSERT_TRUE(impl().run({packed.weights(), 2, nullptr, 0, y.data(), 0, nullptr}).ok());
  EXPECT_EQ(y, (std::vector<float>{1, 2, 3, 1, 2, 3}));
}

TEST_P(LinearTest, RefusesRowsThatOverlap) {
  const PackedLinear packed(RandomFloats(6, 1).data(), nullptr, 2, 3);
  std::vector<float> x(4), y(6);
  EXPECT_EQ(impl().run({packed.weights(), 2, x.data(), 1, y.data(), 0, nullptr}).code,
            Code::kInvalidArgument);
  EXPECT_EQ(impl().run({packed.weights(), 2, x.data(), 0, y.data(), 2, nullptr}).code,
            Code::kInvalidArgument);
  EXPECT_EQ(impl().run({packed.weights(), 2, x.data(), 0, nullptr, 0, nullptr}).code,
            Code::kInvalidArgument);
}

TEST(LinearCostTest, CountsEachOperandOnce) {
  const Cost cost = LinearCost(2, 3, 5);
  EXPECT_EQ(cost.flops, 60);
  EXPECT_EQ(cost.bytes, 4 * (15 + 6 + 10));
}

}  // namespace
}  // namespace penstock::kernels
