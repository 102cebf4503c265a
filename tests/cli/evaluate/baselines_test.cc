#include "cli/evaluate/baselines.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::cli {
namespace {

using ::testing::DoubleNear;

TEST(AccuracyHullTest, MixesNeighboursAndLeavesOutWhatLiesBelow) {
  // The expert at 2 J lies below the line from (1, .5) to (3, .9).
  const AccuracyHull hull({{3, 0.9}, {1, 0.5}, {2, 0.6}});
  EXPECT_THAT(hull.At(2), DoubleNear(0.7, 1e-12));
}

TEST(AccuracyHullTest, IsFlatBeyondTheBestAndBelowTheCheapest) {
  const AccuracyHull hull({{1, 0.5}, {3, 0.9}, {5, 0.8}});
  EXPECT_EQ(hull.At(0.1), 0.5);
  EXPECT_EQ(hull.At(100), 0.9);
}

// Requests: both right, only the dear one right, neither right.
OutcomeMatrix ThreeRequests() {
  return {.requests = 3, .experts = 2, .right = {1, 1, 0, 1, 0, 0}, .energy_j = {1, 4}};
}

TEST(OutcomeMatrixTest, CountsRightAnswersPerExpert) {
  EXPECT_THAT(ThreeRequests().Accuracy(0), DoubleNear(1.0 / 3, 1e-12));
  EXPECT_THAT(ThreeRequests().Accuracy(1), DoubleNear(2.0 / 3, 1e-12));
}

TEST(HindsightAccuracyTest, BuysTheDearExpertWhereOnlyItIsRight) {
  // One request of three may cost 3 J more: a mean of 2 J is just enough.
  EXPECT_THAT(HindsightAccuracy(ThreeRequests(), 2.0), DoubleNear(2.0 / 3, 1e-12));
  EXPECT_THAT(HindsightAccuracy(ThreeRequests(), 1.99), DoubleNear(1.0 / 3, 1e-12));
}

TEST(RandomAccuracyTest, MixesUniformChoiceWithAnExtremeToMeetTheJoules) {
  // Uniform: 2.5 J and accuracy 1/2; half way to the cheapest (1 J, 1/3).
  EXPECT_THAT(RandomAccuracy(ThreeRequests(), 1.75), DoubleNear(0.5 * (0.5 + 1.0 / 3), 1e-12));
  EXPECT_THAT(RandomAccuracy(ThreeRequests(), 9), DoubleNear(2.0 / 3, 1e-12));
}

TEST(ShuffledAccuracyTest, TakesTheMatchAwayButKeepsTheShares) {
  // Expert 0 is right exactly on even requests, expert 1 on odd ones, and the router knows it.
  OutcomeMatrix outcomes{.requests = 1000, .experts = 2, .right = {}, .energy_j = {1, 1}};
  std::vector<int> answered_by;
  for (int i = 0; i < 1000; ++i) {
    outcomes.right.push_back(i % 2 == 0);
    outcomes.right.push_back(i % 2 == 1);
    answered_by.push_back(i % 2);
  }
  // 20,000 draws of a half: four standard errors are .014.
  EXPECT_THAT(ShuffledAccuracy(outcomes, answered_by, /*seed=*/1, /*rounds=*/20),
              DoubleNear(0.5, 0.014));
}

TEST(ShuffledAccuracyTest, NoRequestKeepsItsOwnExpert) {
  // Two requests: the only permutation without a fixed point swaps them, and both answers go wrong.
  const OutcomeMatrix outcomes{
      .requests = 2, .experts = 2, .right = {1, 0, 0, 1}, .energy_j = {1, 1}};
  EXPECT_EQ(ShuffledAccuracy(outcomes, std::vector<int>{0, 1}, /*seed=*/3, /*rounds=*/5), 0.0);
}

TEST(StandardErrorTest, IsTheBinomialOne) { EXPECT_THAT(StandardError(0.5, 100), DoubleNear(0.05, 1e-12)); }

}  // namespace
}  // namespace penstock::cli
