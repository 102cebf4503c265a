#include "router_service/quality/learned/prototype_scorer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace penstock::router {
namespace {

SparseRows UnitRows(const std::vector<std::vector<uint32_t>>& columns) {
  SparseRows x;
  x.columns = 8;
  for (const auto& at : columns) {
    x.Add(at, std::vector<float>(at.size(), 1 / std::sqrt(static_cast<float>(at.size()))));
  }
  return x;
}

PrototypeScorer::Parameters Parameters(const SparseRows& prototypes) {
  PrototypeScorer::Parameters parameters;
  parameters.prototypes = prototypes;
  parameters.prior.assign(prototypes.rows(), 0.5f);
  parameters.observed.assign(prototypes.rows(), 0.0f);
  return parameters;
}

TEST(PrototypeScorer, ACardShiftsItsExpertByTheSoftmaxOfCosines) {
  const PrototypeScorer scorer(Parameters(UnitRows({{0}, {1}, {}})));
  LogitScores scores;
  scorer.Score({0, 1, 2}, {0.10f, 0.07f, 0.99f}, scores);
  const double length = std::sqrt(0.10 * 0.10 + 0.07 * 0.07 + 0.99 * 0.99);
  const double first = std::exp(0.10 / length / 0.07), second = std::exp(0.07 / length / 0.07);
  const double sum = first + second + 1;  // and nobody's card
  EXPECT_NEAR(scores.logit[0], std::log(3 * first / sum), 1e-5);
  EXPECT_NEAR(scores.logit[1], std::log(3 * second / sum), 1e-5);
  EXPECT_EQ(scores.logit[2], 0);  // has no card
}

TEST(PrototypeScorer, SaysNoMoreThanACardCan) {
  const PrototypeScorer scorer(Parameters(UnitRows({{0}, {1}, {2}, {3}, {4}, {5}, {6}, {7}})));
  LogitScores scores;
  scorer.Score({0}, {1}, scores);
  EXPECT_NEAR(scores.logit[0], PrototypeScorer::kMostEvidence, 0.2);
  EXPECT_EQ(scores.logit[1], -PrototypeScorer::kMostEvidence);
}

TEST(PrototypeScorer, WhatNobodysCardResemblesLeavesThePriors) {
  PrototypeScorer::Parameters parameters = Parameters(UnitRows({{0}, {1}}));
  parameters.prior = {0.9f, 0.2f};
  const PrototypeScorer scorer(std::move(parameters));
  LogitScores scores;
  scorer.Score({5}, {1}, scores);
  EXPECT_NEAR(scores.logit[0], std::log(9.0), 1e-5);
  EXPECT_NEAR(scores.logit[1], std::log(0.25), 1e-5);
}

TEST(PrototypeScorer, OutcomesBehindThePriorMakeItSurer) {
  PrototypeScorer::Parameters parameters = Parameters(UnitRows({{0}, {1}}));
  parameters.observed = {0, 98};
  const PrototypeScorer scorer(std::move(parameters));
  LogitScores scores;
  scorer.Score({5}, {1}, scores);
  // sigma of r = 1/2 is sqrt(.25 / 2) and sqrt(.25 / 100); of its logit four times that.
  EXPECT_NEAR(scores.deviation[0], 4 * std::sqrt(.125), 1e-5);
  EXPECT_NEAR(scores.deviation[1], 4 * .05, 1e-5);
}

TEST(PrototypeScorer, APrototypeIsTheNormalisedMeanOfItsTexts) {
  SparseRows prototypes;
  prototypes.columns = 8;
  PrototypeScorer::AddPrototype(UnitRows({{0}, {0}, {3}}), prototypes);
  ASSERT_EQ(prototypes.Columns(0).size(), 2u);
  EXPECT_NEAR(prototypes.Values(0)[0], 2 / std::sqrt(5.0), 1e-6);
  EXPECT_NEAR(prototypes.Values(0)[1], 1 / std::sqrt(5.0), 1e-6);
}

}  // namespace
}  // namespace penstock::router
