#include "router_service/learning/cascades/exit_labels.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;

TEST(CumulativeCost, EndsInOne) {
  EXPECT_THAT(CumulativeCost({1, 3, 4}), ElementsAre(0.125, 0.5, 1));
}

TEST(BestExit, WithoutATradeoffIsTheFirstOfTheLeastLoss) {
  EXPECT_EQ(BestExit({1, 0, 0}, {0.1, 0.4, 1}, 0), 1u);
  EXPECT_EQ(BestExit({1, 1, 1}, {0.1, 0.4, 1}, 0), 0u);
}

TEST(BestExit, AtALargeTradeoffIsTheFirstStage) {
  EXPECT_EQ(BestExit({1, 0, 0}, {0.1, 0.4, 1}, 1e9), 0u);
}

TEST(BestExit, WeighsLossAgainstCost) {
  // .7 * .9 = .63 < 1 for a right answer instead of a wrong one, .7 * .9 > .5.
  EXPECT_EQ(BestExit({1, 0}, {0.1, 1}, 0.7), 1u);
  EXPECT_EQ(BestExit({0.5f, 0}, {0.1, 1}, 0.7), 0u);
}

TEST(BestExit, MeanCostFallsAsTheTradeoffRises) {
  const std::vector<double> cost = {0.05, 0.3, 1};
  double before = 2;
  for (const double tradeoff : {0.0, 0.1, 0.3, 0.7, 1.0, 2.0, 10.0}) {
    double mean = 0;
    for (uint64_t i = 0; i < 300; ++i) {
      CounterRandom random(5, i);
      std::vector<float> loss;
      for (int stage = 0; stage < 3; ++stage) loss.push_back(static_cast<float>(random.Uniform()));
      mean += cost[BestExit(loss, cost, tradeoff)] / 300;
    }
    EXPECT_LE(mean, before + 1e-12) << tradeoff;
    before = mean;
  }
  EXPECT_NEAR(before, 0.05, 1e-9);
}

double Probability(const std::vector<float>& weight, double x) {
  return 1 / (1 + std::exp(-(weight[0] * x + weight[1])));
}

TEST(FitWeightedLogistic, FindsTheBoundary) {
  std::vector<double> x;
  std::vector<int> labels;
  for (int i = 0; i < 400; ++i) {
    x.push_back(i / 400.0);
    labels.push_back(i >= 300);
  }
  const std::vector<float> weight = FitWeightedLogistic(x, 1, labels, 1);
  EXPECT_LT(Probability(weight, 0.6), 0.2);
  EXPECT_GT(Probability(weight, 0.9), 0.8);
}

TEST(FitWeightedLogistic, AWeightMovesTheOddsByItself) {
  // A feature that says nothing: the odds are positives * weight to negatives, 100 * 3 / 300.
  std::vector<double> x(400, 1.0);
  std::vector<int> labels(400, 0);
  std::fill_n(labels.begin(), 100, 1);
  EXPECT_NEAR(Probability(FitWeightedLogistic(x, 1, labels, 1), 1), 0.25, 1e-3);
  EXPECT_NEAR(Probability(FitWeightedLogistic(x, 1, labels, 3), 1), 0.5, 1e-3);
}

TEST(FitWeightedLogistic, LabelsThatAreAllAlikeGiveAConstant) {
  const std::vector<float> weight = FitWeightedLogistic({0, 1, 2}, 1, {1, 1, 1}, 1);
  EXPECT_EQ(weight[0], 0);
  EXPECT_NEAR(Probability(weight, 7), 3.5 / 4, 1e-6);
}

}  // namespace
}  // namespace penstock::router
