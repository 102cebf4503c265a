#include "router_service/evaluation/price_sweep.h"

#include <limits>
#include <vector>

#include "gtest/gtest.h"

namespace penstock::router {
namespace {

// Two experts, three requests, [experts, rows].
const std::vector<float> kEstimate = {.5f, .5f, .2f, .6f, .9f, .8f};
const std::vector<float> kEstimatedCost = {1, 1, 1, 4, 4, 4};
const std::vector<float> kQuality = {1, 0, 0, 1, 1, 0};
const std::vector<float> kCost = {1, 2, 1, 3, 5, 4};

SettingOutcomes Sweep(std::vector<double> prices) {
  return SweepPrices({kEstimate, 3}, {kEstimatedCost, 3}, {kQuality, 3}, {kCost, 3}, prices);
}

TEST(SweepPricesTest, APriceOfZeroTakesTheBestEstimate) {
  const std::vector<OperatingPoint> means = Sweep({0}).Means({});
  EXPECT_DOUBLE_EQ(means[0].quality, 2 / 3.0);
  EXPECT_DOUBLE_EQ(means[0].cost, 12 / 3.0);
}

TEST(SweepPricesTest, AHighPriceTakesTheCheapest) {
  const std::vector<OperatingPoint> means = Sweep({1e6}).Means({});
  EXPECT_DOUBLE_EQ(means[0].quality, 1 / 3.0);
  EXPECT_DOUBLE_EQ(means[0].cost, 4 / 3.0);
}

TEST(SweepPricesTest, BetweenThemEachRequestWeighsForItself) {
  // Gains of .1, .4 and .6 for three more units of cost.
  const SettingOutcomes outcomes = Sweep({.1});
  EXPECT_EQ(outcomes.cost[0], 1);
  EXPECT_EQ(outcomes.cost[1], 5);
  EXPECT_EQ(outcomes.cost[2], 4);
}

TEST(SweepPricesTest, TiesGoToTheLowerExpert) {
  const std::vector<float> same = {.5f, .5f}, one = {1, 1}, quality = {0, 1};
  EXPECT_EQ(SweepPrices({same, 1}, {one, 1}, {quality, 1}, {one, 1}, std::vector<double>{1})
                .quality[0],
            0);
}

TEST(SettingOutcomesTest, AWeightOfTwoIsTheRowTwice) {
  const std::vector<OperatingPoint> means = Sweep({0}).Means(std::vector<float>{2, 1, 0});
  EXPECT_DOUBLE_EQ(means[0].cost, (3 + 3 + 5) / 3.0);
}

TEST(PriceGridTest, BeginsAtZeroAndSpansSixDecades) {
  const std::vector<double> prices = PriceGrid(50, 7);
  ASSERT_EQ(prices.size(), 8u);
  EXPECT_EQ(prices[0], 0);
  EXPECT_NEAR(prices[1] * 50, 1e-3, 1e-12);
  EXPECT_NEAR(prices[7] * 50, 1e3, 1e-6);
}

TEST(RealisedCurveTest, KeepsTheSettingsThatWerePlanned) {
  // The third setting looks best on the second part only: it was not planned, so it is not used.
  const std::vector<OperatingPoint> planned = {{0, .2}, {2, .7}, {1, .3}};
  const std::vector<OperatingPoint> realised = {{0, .25}, {2.2, .6}, {1, .9}};
  const std::vector<OperatingPoint> curve = RealisedCurve(planned, realised);
  ASSERT_EQ(curve.size(), 2u);
  EXPECT_EQ(curve[0].quality, .25);
  EXPECT_EQ(curve[1].cost, 2.2);
}

TEST(MeanHeightTest, EqualsTheAreaUnderTheSameFrontier) {
  const std::vector<OperatingPoint> curve = {{0, .2}, {1, .6}, {2, .7}};
  EXPECT_NEAR(MeanHeight(curve, 0, 2), .525, 1e-12);
}

TEST(MeanHeightTest, IsFlatOutsideOfTheCurve) {
  const std::vector<OperatingPoint> curve = {{1, .2}, {2, .4}};
  EXPECT_NEAR(MeanHeight(curve, 0, 4), (.2 + .3 + .8) / 4, 1e-12);
}

TEST(MeanHeightTest, StopsAtTheDearestModel) {
  const std::vector<OperatingPoint> curve = {{0, 0}, {4, 1}};
  EXPECT_NEAR(MeanHeight(curve, 0, 2), .25, 1e-12);
}

TEST(MeanHeightTest, CountsALossThatTheSettingsMade) {
  // No hull: what fell stays fallen.
  const std::vector<OperatingPoint> curve = {{0, .4}, {1, .8}, {2, .6}};
  EXPECT_NEAR(MeanHeight(curve, 0, 2), .65, 1e-12);
}

}  // namespace
}  // namespace penstock::router
