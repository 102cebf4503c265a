#include "router_service/evaluation/frontier.h"

#include <cmath>
#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

std::vector<OperatingPoint> KnownPoints(double shift) {
  return {{0 + shift, .2}, {1 + shift, .6}, {1.5 + shift, .5}, {2 + shift, .7}};
}

TEST(FrontierTest, IsTheUpperConcaveNonDecreasingHull) {
  const std::vector<OperatingPoint> hull = Frontier(KnownPoints(0));
  ASSERT_EQ(hull.size(), 3u);
  EXPECT_EQ(hull[0].quality, .2);
  EXPECT_EQ(hull[1].quality, .6);
  EXPECT_EQ(hull[2].quality, .7);
}

TEST(FrontierTest, LeavesOutPointsBelowALineBetweenTwoOthers) {
  const std::vector<OperatingPoint> hull =
      Frontier(std::vector<OperatingPoint>{{0, .2}, {1, .3}, {2, .6}});
  ASSERT_EQ(hull.size(), 2u);
  EXPECT_EQ(hull[1].cost, 2);
}

TEST(FrontierTest, OfPointsOfOneCostTakesTheBest) {
  const std::vector<OperatingPoint> hull =
      Frontier(std::vector<OperatingPoint>{{1, .3}, {1, .5}, {1, .4}});
  ASSERT_EQ(hull.size(), 1u);
  EXPECT_EQ(hull[0].quality, .5);
}

TEST(FrontierTest, LeavesOutPointsThatAreNotFinite) {
  const double none = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(Frontier(std::vector<OperatingPoint>{{1, none}, {none, 1}, {2, .5}}).size(), 1u);
}

TEST(AiqTest, OfTheKnownPointsIs0525) {
  EXPECT_NEAR(Aiq(Frontier(KnownPoints(0)), 0, 2), .525, 1e-12);
}

TEST(AiqTest, DoesNotChangeWhenAllCostsRiseAlike) {
  EXPECT_NEAR(Aiq(Frontier(KnownPoints(1)), 1, 3), .525, 1e-12);
}

TEST(AiqTest, DoesNotChangeWithPointsBelowTheFrontier) {
  std::vector<OperatingPoint> points = KnownPoints(0);
  points.push_back({.5, .39});
  EXPECT_NEAR(Aiq(Frontier(points), 0, 2), .525, 1e-12);
}

TEST(AiqTest, OfADominatedMethodIsLower) {
  std::vector<OperatingPoint> worse = KnownPoints(0);
  for (OperatingPoint& point : worse) point.quality -= .05;
  EXPECT_LT(Aiq(Frontier(worse), 0, 2), .525);
}

TEST(AiqTest, CarriesTheFrontierOnFlat) {
  EXPECT_NEAR(Aiq(std::vector<OperatingPoint>{{0, 0}, {1, .6}}, 0, 3), (.3 + .6 + .6) / 3, 1e-12);
}

TEST(AiqTest, CountsFromTheCheapestModelWhereTheFrontierBeginsBeforeIt) {
  EXPECT_NEAR(Aiq(std::vector<OperatingPoint>{{0, 0}, {2, 1}}, 1, 2), .75, 1e-12);
}

TEST(CostAtQualityTest, LiesBetweenThePointsAndIsNothingWhereTheFrontierEnds) {
  const std::vector<OperatingPoint> hull = Frontier(KnownPoints(0));
  EXPECT_NEAR(CostAtQuality(hull, .4), .5, 1e-12);
  EXPECT_NEAR(CostAtQuality(hull, .65), 1.5, 1e-12);
  EXPECT_EQ(CostAtQuality(hull, .1), 0);
  EXPECT_TRUE(std::isnan(CostAtQuality(hull, .71)));
}

TEST(QualityAtCostTest, IsNothingBeforeTheFrontierBegins) {
  const std::vector<OperatingPoint> hull = Frontier(KnownPoints(1));
  EXPECT_TRUE(std::isnan(QualityAtCost(hull, .5)));
  EXPECT_NEAR(QualityAtCost(hull, 1.5), .4, 1e-12);
  EXPECT_EQ(QualityAtCost(hull, 9), .7);
}

}  // namespace
}  // namespace penstock::router
