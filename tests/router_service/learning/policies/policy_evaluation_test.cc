#include "router_service/learning/policies/policy_evaluation.h"

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "router_service/learning/cascade_fit.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;

// Cheap is right on the first half, dear always.
OutcomeTable HalfRight() {
  OutcomeTable table;
  table.experts = {"cheap", "dear"};
  table.ids = {"0", "1", "2", "3"};
  table.quality = {1, 1, 0, 0, 1, 1, 1, 1};
  table.cost = {1, 1, 1, 1, 9, 9, 9, 9};
  table.confidence.assign(8, {-1, -1});
  table.answers.assign(8, 0);
  table.cost_unit = "joules";
  return table;
}

TEST(LargestScore, BreaksTiesByLowerExpertAndSkipsNaN) {
  EXPECT_THAT(LargestScore({1, std::nanf(""), 0, 1, 2, 3}, 2, 3), ElementsAre(0, 1, 1));
}

TEST(EvaluateChoice, AveragesQualityAndCost) {
  const PolicyReport report = EvaluateChoice("x", HalfRight(), {0, 0, 1, 0});
  EXPECT_EQ(report.quality, 0.75);
  EXPECT_EQ(report.mean_cost, 3);
  EXPECT_NEAR(report.standard_error, std::sqrt(0.25 / 4), 1e-9);
}

TEST(EvaluateRandom, IsTheMeanOverExperts) {
  EXPECT_EQ(EvaluateRandom(HalfRight()).quality, 0.75);
  EXPECT_EQ(EvaluateRandom(HalfRight()).mean_cost, 5);
}

TEST(CompareWithRandom, PairsRowByRow) {
  double difference = 0, error = 0;
  CompareWithRandom(HalfRight(), {0, 0, 1, 1}, difference, error);
  EXPECT_EQ(difference, 0.25);
  EXPECT_NEAR(error, std::sqrt(4 * 0.0625 / 3 / 4), 1e-9);
}

TEST(EvaluateBudgets, SpendsNoMoreThanTheBudgetAndBeatsTheHullWhereItKnows) {
  const OutcomeTable table = HalfRight();
  const std::vector<float> knows = {0.9f, 0.9f, 0.1f, 0.1f, 0.95f, 0.95f, 0.95f, 0.95f};
  const auto points = EvaluateBudgets(table, knows, table, knows);
  ASSERT_EQ(points.size(), 8u);
  EXPECT_EQ(points.front().cost, 1);
  EXPECT_EQ(points.front().quality, 0.5);
  EXPECT_EQ(points.back().quality, 1);
  bool beats = false;
  for (const BudgetPoint& point : points) {
    EXPECT_LE(point.cost, point.budget * (1 + 1e-9));
    EXPECT_LE(point.quality, point.oracle_quality + 1e-9);
    beats = beats || point.quality > point.hull_quality + 0.2;
  }
  EXPECT_TRUE(beats);  // half of the requests on `dear`: quality 1 at cost 5, the hull has 0.75
}

TEST(EvaluateBudgets, HasNoPointsWithoutCosts) {
  OutcomeTable table = HalfRight();
  table.cost_unit = "";
  EXPECT_TRUE(EvaluateBudgets(table, table.quality, table, table.quality).empty());
}

TEST(EvaluateCascade, SendsOnThoseWithTheLargestGain) {
  OutcomeTable table = HalfRight();
  for (size_t row = 0; row < 4; ++row) {
    table.confidence[row] = {row < 2 ? 0.99f : 0.6f, row < 2 ? 0.01f : 0.4f};
  }
  CascadeFit fit;
  fit.can_stand = {1, 0};
  fit.weight = {0, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0};
  const auto reports = EvaluateCascade(fit, table);
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_EQ(reports[0].first, "cheap");
  for (const EscalationPoint& point : reports[0].points) {
    if (point.share != 0.5) continue;
    EXPECT_EQ(point.quality, 1);
    EXPECT_EQ(point.random_quality, 0.75);
    EXPECT_EQ(point.mean_cost, 5.5);
  }
}

}  // namespace
}  // namespace penstock::router
