#include "router_service/quality/learned/neighbour_scorer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/status_matchers.h"

namespace penstock::router {
namespace {

SparseRows ThreeRows() {
  SparseRows rows;
  rows.columns = 4;
  rows.Add({0}, {1});
  rows.Add({0, 1}, {0.6f, 0.8f});
  rows.Add({2}, {1});
  return rows;
}

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

TEST(NeighbourScorer, SaysTheShrunkenMeanOfTheNeighboursLabels) {
  NeighbourScorer::Labels labels;
  labels.k = 2;
  labels.prior = {0.25f, 0.5f};
  labels.quality = {1, 0, 1, 0, 1, std::numeric_limits<float>::quiet_NaN()};
  ASSERT_OK_AND_ASSIGN(const auto scorer, NeighbourScorer::Create(ThreeRows(), labels));
  LogitScores scores;
  scorer->Score({0}, {1}, scores);  // cosines 1 and .6 with rows 0 and 1
  const double second = std::exp((0.6 - 1) / 0.05), sum = 1 + second;
  const double k_eff = sum * sum / (1 + second * second);
  const double r = (k_eff * 1 / sum + 2 * 0.25) / (k_eff + 2);
  EXPECT_NEAR(Sigmoid(scores.logit[0]), r, 1e-5);
  EXPECT_NEAR(scores.deviation[0] * r * (1 - r), std::sqrt(r * (1 - r) / (k_eff + 2)), 1e-5);
  EXPECT_EQ(scores.work[0], 1);
}

TEST(NeighbourScorer, OneNeighbourOfATrainingPromptIsItself) {
  NeighbourScorer::Labels labels;
  labels.k = 1;
  labels.prior = {0.5f};
  labels.quality = {0, 1, 1};
  labels.work = {2, 0.5f, 0.5f};
  ASSERT_OK_AND_ASSIGN(const auto scorer, NeighbourScorer::Create(ThreeRows(), labels));
  LogitScores scores;
  for (size_t row = 0; row < 3; ++row) {
    scorer->Score(ThreeRows().Columns(row), ThreeRows().Values(row), scores);
    // One observation of the label beside two of the prior.
    EXPECT_NEAR(Sigmoid(scores.logit[0]), (labels.quality[row] + 2 * 0.5) / 3, 1e-5);
    EXPECT_NEAR(scores.work[0], (labels.work[row] + 2) / 3, 1e-5);
  }
}

TEST(NeighbourScorer, AnExpertOfWhomNoNeighbourTellsStaysWithItsPrior) {
  constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();
  NeighbourScorer::Labels labels;
  labels.k = 3;
  labels.prior = {0.75f};
  labels.quality = {kUnknown, kUnknown, kUnknown};
  ASSERT_OK_AND_ASSIGN(const auto scorer, NeighbourScorer::Create(ThreeRows(), labels));
  LogitScores scores;
  scorer->Score({1}, {1}, scores);
  EXPECT_NEAR(Sigmoid(scores.logit[0]), 0.75, 1e-6);
  EXPECT_NEAR(scores.deviation[0] * 0.75 * 0.25, std::sqrt(0.75 * 0.25 / 2), 1e-6);
}

}  // namespace
}  // namespace penstock::router
