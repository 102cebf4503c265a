#include "kernels/route_plan/route_plan.h"

#include "kernels/permute/permute.h"
#include "tests/kernels/kernel_test.h"

namespace penstock::kernels {
namespace {

using RoutePlanTest = KernelTest<RoutePlanImpl, RoutePlanImpls>;
INSTANTIATE_TEST_SUITE_P(All, RoutePlanTest, testing::ValuesIn(Names(RoutePlanImpls())), ParamName);
using PermuteTest = KernelTest<PermuteImpl, PermuteImpls>;
INSTANTIATE_TEST_SUITE_P(All, PermuteTest, testing::ValuesIn(Names(PermuteImpls())), ParamName);

using Ints = std::vector<int32_t>;

struct Plan {
  Ints counts, offsets, src, dst;
};

Plan Compute(const RoutePlanImpl& impl, const Ints& ids, int64_t k, int64_t experts) {
  Plan plan = {Ints(static_cast<size_t>(experts), -77), Ints(static_cast<size_t>(experts) + 1, -77),
               Ints(ids.size(), -77), Ints(ids.size(), -77)};
  const PlanView view = {plan.counts.data(), plan.offsets.data(), plan.src.data(), plan.dst.data()};
  const int64_t rows = static_cast<int64_t>(ids.size()) / k;
  EXPECT_TRUE(impl.run({rows, k, experts, ids.data(), view}).ok());
  return plan;
}

TEST_P(RoutePlanTest, GroupsPairsByExpertInPairOrder) {
  const Plan plan = Compute(impl(), {2, 0, 0, 2, 1, 0}, 2, 4);
  EXPECT_EQ(plan.counts, (Ints{3, 1, 2, 0}));
  EXPECT_EQ(plan.offsets, (Ints{0, 3, 4, 6, 6}));
  EXPECT_EQ(plan.src, (Ints{1, 2, 5, 4, 0, 3}));
  EXPECT_EQ(plan.dst, (Ints{4, 0, 1, 5, 3, 2}));
}

TEST_P(RoutePlanTest, DropsUnusedSlotsAndIdsOutOfRange) {
  const Plan plan = Compute(impl(), {-1, 1, 3, 0, -2147483648, 2147483647}, 3, 3);
  EXPECT_EQ(plan.counts, (Ints{1, 1, 0}));
  EXPECT_EQ(plan.offsets, (Ints{0, 1, 2, 2}));
  EXPECT_EQ(plan.src, (Ints{3, 1, -1, -1, -1, -1}));
  EXPECT_EQ(plan.dst, (Ints{-1, 1, -1, 0, -1, -1}));
}

TEST_P(RoutePlanTest, SourceInvertsDestination) {
  std::mt19937 random(1);
  Ints ids(300 * 4);
  for (int32_t& id : ids) id = static_cast<int32_t>(random() % 11) - 1;
  const Plan plan = Compute(impl(), ids, 4, 10);
  int32_t valid = 0;
  for (size_t pair = 0; pair < ids.size(); ++pair) {
    if (ids[pair] < 0) {
      EXPECT_EQ(plan.dst[pair], -1);
      continue;
    }
    ++valid;
    ASSERT_GE(plan.dst[pair], plan.offsets[static_cast<size_t>(ids[pair])]);
    ASSERT_LT(plan.dst[pair], plan.offsets[static_cast<size_t>(ids[pair]) + 1]);
    EXPECT_EQ(plan.src[static_cast<size_t>(plan.dst[pair])], static_cast<int32_t>(pair));
  }
  EXPECT_EQ(plan.offsets.back(), valid);
}

TEST_P(RoutePlanTest, OneExpertMayGetAll) {
  const Plan plan = Compute(impl(), {4, 4, 4}, 1, 5);
  EXPECT_EQ(plan.counts, (Ints{0, 0, 0, 0, 3}));
  EXPECT_EQ(plan.src, (Ints{0, 1, 2}));
}

TEST_P(RoutePlanTest, CountsARepeatedExpertTwice) {
  EXPECT_EQ(Compute(impl(), {1, 1}, 2, 2).counts, (Ints{0, 2}));
}

TEST_P(RoutePlanTest, SingleExpert) {
  EXPECT_EQ(Compute(impl(), {0, -1, 0}, 1, 1).dst, (Ints{0, -1, 1}));
}

TEST_P(RoutePlanTest, EmptyBatchHasEmptyExperts) {
  const Plan plan = Compute(impl(), {}, 2, 3);
  EXPECT_EQ(plan.counts, (Ints{0, 0, 0}));
  EXPECT_EQ(plan.offsets, (Ints{0, 0, 0, 0}));
}

TEST_P(PermuteTest, CopiesTheRowOfEachPair) {
  const float x[] = {1, 2, 3, 4, 5, 6};  // 2 rows of 3
  const Ints src = {3, 0, 2};            // k = 2: rows 1, 0, 1
  std::vector<float> y = Poison(9);
  ASSERT_TRUE(impl().run({2, 2, 3, 3, src.data(), x, y.data()}).ok());
  EXPECT_EQ(y, (std::vector<float>{4, 5, 6, 1, 2, 3, 4, 5, 6}));
}

TEST_P(PermuteTest, RefusesPairsOfOtherBatches) {
  const float x[] = {1, 2};
  std::vector<float> y = Poison(1);
  for (int32_t pair : {-1, 2}) {
    EXPECT_EQ(impl().run({2, 1, 1, 1, &pair, x, y.data()}).code, Code::kInvalidArgument);
  }
  EXPECT_TRUE(std::isnan(y[0]));
}

TEST_P(PermuteTest, EmptyWorkTouchesNothing) {
  EXPECT_TRUE(impl().run({0, 2, 3, 0, nullptr, nullptr, nullptr}).ok());
}

}  // namespace
}  // namespace penstock::kernels
