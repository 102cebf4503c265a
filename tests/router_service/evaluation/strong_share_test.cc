#include "router_service/evaluation/strong_share.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"

namespace penstock::router {
namespace {

// Ten requests; the strong model is better on the last two only.
const std::vector<float> kWeak = {1, 1, 1, 1, 1, 1, 1, 1, 0, 0};
const std::vector<float> kStrong = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

TEST(StrongShareTest, AskingWhereItHelpsFirstRecoversAllWithAFifthOfTheCalls) {
  const std::vector<size_t> order = {9, 8, 0, 1, 2, 3, 4, 5, 6, 7};
  const StrongShareCurve curve = CurveOverStrongShare(order, kWeak, kStrong, {});
  EXPECT_DOUBLE_EQ(curve.recovered[0], 0);
  EXPECT_DOUBLE_EQ(curve.recovered[1], .5);
  EXPECT_DOUBLE_EQ(curve.recovered[2], 1);
  EXPECT_DOUBLE_EQ(curve.recovered[10], 1);
  // Trapezoid: .5/2 + (.5 + 9 * 1) - 1/2, of ten steps: (0 + .5 + 8 + .5) / 10.
  EXPECT_NEAR(curve.Apgr(), .9, 1e-12);
  EXPECT_NEAR(curve.Cpt(.5), .1, 1e-12);
  EXPECT_NEAR(curve.Cpt(.8), .16, 1e-12);
}

TEST(StrongShareTest, AskingWhereItHelpsLastRecoversNothingUntilThen) {
  const std::vector<size_t> order = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  const StrongShareCurve curve = CurveOverStrongShare(order, kWeak, kStrong, {});
  EXPECT_NEAR(curve.Apgr(), .1, 1e-12);
  EXPECT_NEAR(curve.Cpt(.5), .9, 1e-12);
}

TEST(StrongShareTest, AnEvenSpreadOfGainGivesHalf) {
  const std::vector<float> weak(1000, 0), strong(1000, 1);
  std::vector<size_t> order(1000);
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  EXPECT_NEAR(CurveOverStrongShare(order, weak, strong, {}).Apgr(), .5, 1e-12);
}

TEST(StrongShareTest, AWeightOfTwoIsTheRequestTwice) {
  const std::vector<float> weak = {0, 1, 1}, strong = {1, 1, 0};
  const std::vector<float> twice_weak = {0, 0, 1, 1}, twice_strong = {1, 1, 1, 0};
  const StrongShareCurve weighted = CurveOverStrongShare(
      std::vector<size_t>{0, 1, 2}, weak, strong, std::vector<float>{2, 1, 1});
  const StrongShareCurve repeated =
      CurveOverStrongShare(std::vector<size_t>{0, 1, 2, 3}, twice_weak, twice_strong, {});
  for (size_t i = 0; i < weighted.recovered.size(); ++i) {
    EXPECT_NEAR(weighted.recovered[i], repeated.recovered[i], 1e-12) << i;
  }
}

TEST(StrongShareTest, ModelsThatScoreAlikeHaveNoGapToRecover) {
  const std::vector<float> same = {1, 0};
  EXPECT_TRUE(std::isnan(
      CurveOverStrongShare(std::vector<size_t>{0, 1}, same, same, {}).Apgr()));
}

}  // namespace
}  // namespace penstock::router
