#include "kernels/combine/combine.h"

#include "kernels/permute/permute.h"
#include "kernels/route_plan/route_plan.h"
#include "tests/kernels/kernel_test.h"

namespace penstock::kernels {
namespace {

using CombineTest = KernelTest<CombineImpl, CombineImpls>;
INSTANTIATE_TEST_SUITE_P(All, CombineTest, testing::ValuesIn(Names(CombineImpls())), ParamName);

TEST_P(CombineTest, SumsWeightedSlotsAndResidual) {
  const float h[] = {1, 2, 10, 20, 100, 200};  // 3 pairs of 2
  const int32_t dst[] = {2, 0, -1, 1};
  const float weights[] = {0.5f, 2, 9, 0.25f};
  const float residual[] = {1000, 2000, 3000, 4000};
  std::vector<float> y = Poison(4);
  ASSERT_TRUE(impl().run({2, 2, 2, 3, h, dst, weights, residual, y.data()}).ok());
  EXPECT_EQ(y, (std::vector<float>{1052, 2104, 3002.5f, 4005}));
}

TEST_P(CombineTest, RowWithoutExpertsIsTheResidual) {
  const int32_t dst[] = {-1, -1, 5, -9};  // no such rows of h
  const float weights[] = {kNan, 1, 1, 1}, residual[] = {7, 8};
  std::vector<float> y = Poison(2);
  ASSERT_TRUE(impl().run({2, 2, 1, 0, nullptr, dst, weights, residual, y.data()}).ok());
  EXPECT_EQ(y, (std::vector<float>{7, 8}));
  ASSERT_TRUE(impl().run({2, 2, 1, 0, nullptr, dst, weights, nullptr, y.data()}).ok());
  EXPECT_EQ(y, (std::vector<float>{0, 0}));
}

// 1e8 + 1 - 1e8 is 0 in float32 and in this order; 1 in any other, and in float64.
TEST_P(CombineTest, AddsInSlotOrderInFloat32) {
  const float h[] = {1e8f, 1, -1e8f};
  const int32_t dst[] = {0, 1, 2};
  const float weights[] = {1, 1, 1};
  std::vector<float> y = Poison(1);
  ASSERT_TRUE(impl().run({1, 3, 1, 3, h, dst, weights, nullptr, y.data()}).ok());
  EXPECT_EQ(y[0], 0.0f);
}

// (1 + e)(1 - e) = 1 - e^2 rounds to 1: a fused multiply-add would leave -e^2 after subtracting 1.
TEST_P(CombineTest, RoundsEachProduct) {
  constexpr float e = 0x1p-13f;
  std::vector<float> h(32, 1 - e), y = Poison(16);
  std::fill_n(h.begin(), 16, -1.0f);
  const int32_t dst[] = {0, 1};
  const float weights[] = {1, 1 + e};
  ASSERT_TRUE(impl().run({1, 2, 16, 2, h.data(), dst, weights, nullptr, y.data()}).ok());
  EXPECT_EQ(y, std::vector<float>(16, 0.0f));
}

TEST_P(CombineTest, EqualsReferenceBitForBit) {
  constexpr int64_t kRows = 67, k = 3;
  std::mt19937 random(1);
  for (int64_t dim : {1, 7, 8, 16, 17, 100}) {
    std::vector<int32_t> dst(kRows * k);
    for (int32_t& at : dst) at = static_cast<int32_t>(random() % 41) - 1;
    const std::vector<float> h = RandomFloats(40 * dim, 1), weights = RandomFloats(kRows * k, 2),
                             residual = RandomFloats(kRows * dim, 3);
    std::vector<float> y = Poison(kRows * dim), expected = y, in_place = residual;
    CombineArgs args = {kRows,           k,       dim, 40, h.data(), dst.data(), weights.data(),
                        residual.data(), y.data()};
    ASSERT_TRUE(impl().run(args).ok());
    args.y = expected.data();
    ASSERT_TRUE(reference().run(args).ok());
    EXPECT_TRUE(SameBits(y.data(), expected.data(), kRows * dim)) << dim;
    args.residual = args.y = in_place.data();
    ASSERT_TRUE(impl().run(args).ok());
    EXPECT_TRUE(SameBits(in_place.data(), expected.data(), kRows * dim)) << dim;
  }
}

// Identity experts with dyadic weights: 1/2 x + 1/4 x + 1/4 x = x exactly.
TEST_P(CombineTest, UndoesPermute) {
  constexpr int64_t kRows = 50, k = 3, kDim = 9, kExperts = 5;
  std::mt19937 random(2);
  std::vector<int32_t> ids(kRows * k), counts(kExperts), offsets(kExperts + 1), src(kRows * k),
      dst(kRows * k);
  for (int32_t& id : ids) id = static_cast<int32_t>(random() % kExperts);
  ASSERT_TRUE(
      RoutePlan(
          {kRows, k, kExperts, ids.data(), {counts.data(), offsets.data(), src.data(), dst.data()}})
          .ok());
  const std::vector<float> x = RandomFloats(kRows * kDim, 1);
  std::vector<float> grouped = Poison(kRows * k * kDim), y = Poison(kRows * kDim), weights;
  for (int64_t t = 0; t < kRows; ++t) weights.insert(weights.end(), {0.5f, 0.25f, 0.25f});
  ASSERT_TRUE(Permute({kRows, k, kDim, kRows * k, src.data(), x.data(), grouped.data()}).ok());
  ASSERT_TRUE(impl()
                  .run({kRows, k, kDim, kRows * k, grouped.data(), dst.data(), weights.data(),
                        nullptr, y.data()})
                  .ok());
  EXPECT_EQ(y, x);
}

TEST_P(CombineTest, EmptyWorkTouchesNothing) {
  EXPECT_TRUE(impl().run({0, 2, 3, 0, nullptr, nullptr, nullptr, nullptr, nullptr}).ok());
  EXPECT_EQ(impl().run({1, 2, 3, 0, nullptr, nullptr, nullptr, nullptr, nullptr}).code,
            Code::kInvalidArgument);
}

}  // namespace
}  // namespace penstock::kernels
