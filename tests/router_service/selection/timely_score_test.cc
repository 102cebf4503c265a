#include "router_service/selection/timely_score.h"

#include <cmath>
#include <limits>

#include "gtest/gtest.h"
#include "router_service/selection/selector.h"

namespace penstock::router {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(TimelyScoreTest, IsAllOfTheScoreWhereTheMeanOfBothLatenciesFits) {
  // The geometric mean of 0.25 and 1 is 0.5.
  EXPECT_EQ(TimelyScore(0.8, 0.25, 1, 0.5), 0.8);
  EXPECT_EQ(TimelyScore(0.8, 0.25, 1, kInfinity), 0.8);
}

TEST(TimelyScoreTest, IsAShareOfItWhereAnAnswerIsOnlyJustInTime) {
  EXPECT_EQ(TimelyScore(0.8, 0.25, 1, std::nextafter(0.5, 0)), 0.6 * 0.8);
  EXPECT_EQ(TimelyScore(0.8, 0.25, 1, 0.25), 0.6 * 0.8);
}

TEST(TimelyScoreTest, WhoPromisesAsMuchAs99InAHundredIsAtEaseOnTheDot) {
  EXPECT_EQ(TimelyScore(0.8, 0.3, 0.3, 0.3), 0.8);
}

TEST(TimelyScoreTest, WhatIsNotKnownIsNoRisk) { EXPECT_EQ(TimelyScore(0.8, 0, 0, 0.001), 0.8); }

TEST(TimelyScoreTest, WhoIsLateKeepsItForWhoeverAsksOfMoreTime) {
  EXPECT_EQ(TimelyScore(0.8, 0.25, 1, std::nextafter(0.25, 0)), 0.8);
  EXPECT_EQ(TimelyScore(0.8, 0.25, 1, -1), 0.8);
}

TEST(TimelyScoreTest, RiskMakesNoScoreBetter) {
  EXPECT_EQ(TimelyScore(-0.5, 0.25, 1, 0.3), -0.5);
  EXPECT_EQ(TimelyScore(0, 0.25, 1, 0.3), 0);
}

// Two experts in time; `large` is better, and of latency 0.25 s, 1 s at 0.99.
size_t ChosenWithin(double time_left_s, double small, double large, double price_per_joule = 0) {
  SelectionCandidate candidates[2];
  candidates[0] = {.score = TimelyScore(small, 0.01, 0.02, time_left_s),
                   .quality = small,
                   .latency_s = 0.01,
                   .energy_j = 5};
  candidates[1] = {.score = TimelyScore(large, 0.25, 1, time_left_s),
                   .quality = large,
                   .latency_s = 0.25,
                   .energy_j = 1};
  SelectionLimits limits;
  limits.time_left_s = time_left_s;
  limits.price_per_joule = price_per_joule;
  Selector selector;
  SelectionResult result;
  selector.Select(candidates, limits, result);
  EXPECT_EQ(result.verdict, SelectionVerdict::kChosen);
  return result.chosen.at(0).expert;
}

TEST(TimelyScoreTest, WhoIsAtRiskGivesWayToWhoIsNearlyAsGoodAtEase) {
  EXPECT_EQ(ChosenWithin(0.3, 0.6, 0.9), 0u);
  EXPECT_EQ(ChosenWithin(0.5, 0.6, 0.9), 1u);
  EXPECT_EQ(ChosenWithin(0.3, 0.5, 0.9), 1u) << "0.54 is still more";
}

TEST(TimelyScoreTest, EaseIsNotBoughtAtAnyPrice) {
  // 0.6 - 5 * 0.02 against 0.6 * 0.9 - 0.02.
  EXPECT_EQ(ChosenWithin(0.3, 0.6, 0.9, 0.02), 1u);
  EXPECT_EQ(ChosenWithin(0.3, 0.6, 0.9, 0.01), 0u);
}

}  // namespace
}  // namespace penstock::router
