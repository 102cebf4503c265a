#include "router_service/learning/text/cost_quality_frontier.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace penstock::router {
namespace {

// The frontier of these is (0, .2), (1, .6), (2, .7).
const std::vector<CostQuality> kPoints = {{0, 0.2}, {1, 0.6}, {1.5, 0.5}, {2, 0.7}};

TEST(CostQualityFrontier, KnownAverage) {
  EXPECT_NEAR(CostQualityFrontier(kPoints).AverageQuality(0, 2), 0.525, 1e-12);
}

TEST(CostQualityFrontier, TheAverageDoesNotDependOnTheOrigin) {
  std::vector<CostQuality> moved = kPoints;
  for (CostQuality& point : moved) point.cost += 1;
  EXPECT_NEAR(CostQualityFrontier(moved).AverageQuality(1, 3), 0.525, 1e-12);
}

TEST(CostQualityFrontier, PointsBelowItChangeNothing) {
  std::vector<CostQuality> more = kPoints;
  more.push_back({0.5, 0.39});
  more.push_back({3, 0.6});
  EXPECT_NEAR(CostQualityFrontier(more).AverageQuality(0, 2), 0.525, 1e-12);
}

TEST(CostQualityFrontier, IsCarriedOnFlat) {
  const CostQualityFrontier frontier(kPoints);
  EXPECT_DOUBLE_EQ(frontier.QualityAt(5), 0.7);
  EXPECT_DOUBLE_EQ(frontier.QualityAt(0.5), 0.4);
  EXPECT_DOUBLE_EQ(frontier.CostOf(0.65), 1.5);
  EXPECT_TRUE(std::isinf(frontier.CostOf(0.71)));
}

TEST(SweepPrices, KnowingEachAnswerReachesTheOracle) {
  // The cheap expert is right on the first row, the dear one on both.
  const std::vector<float> quality = {1, 0, 1, 1}, cost = {1, 1, 10, 10};
  const RoutingFigures figures = MeasureRouting({2, quality, cost}, quality, cost);
  EXPECT_DOUBLE_EQ(figures.best_quality, 1);
  EXPECT_DOUBLE_EQ(figures.singles_aiq, 0.75);
  // (1, .5) to (5.5, 1), then flat.
  EXPECT_NEAR(figures.aiq, (4.5 * 0.75 + 4.5) / 9, 1e-9);
  EXPECT_NEAR(figures.cost_at_95, (1 + 4.5 * 0.9) / 10, 1e-9);
}

TEST(SweepPrices, PredictingTheMeansGivesTheSingles) {
  const std::vector<float> quality = {1, 0, 1, 1}, cost = {1, 1, 10, 10};
  const std::vector<float> means = {0.5f, 0.5f, 1, 1};
  EXPECT_NEAR(MeasureRouting({2, quality, cost}, means, cost).aiq, 0.75, 1e-9);
}

TEST(SweepPrices, AnExpertThatIsNotKnownThereIsNotChosen) {
  const float unknown = std::nanf("");
  const std::vector<float> quality = {1, unknown, 0, 1}, cost = {1, unknown, 2, 2};
  const std::vector<float> sure = {1, 1, 0, 0};
  for (const SweptPoint& point : SweepPrices({2, quality, cost}, sure, cost)) {
    if (point.price == 0) {
      EXPECT_DOUBLE_EQ(point.mean.quality, 1);
    }
  }
}

}  // namespace
}  // namespace penstock::router
