#include "router_service/quality/cascade/exit_gates.h"

#include <cmath>
#include <numeric>
#include <vector>

#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

TEST(ExitDistribution, SharesTheRequestAmongTheStages) {
  const ExitDistribution exits = ExitDistributionOf({0.3, 0.5, 0.6});
  ASSERT_EQ(exits.p.size(), 4u);
  EXPECT_NEAR(exits.p[0], 0.3, 1e-12);
  EXPECT_NEAR(exits.p[1], 0.5, 1e-12);
  EXPECT_NEAR(exits.p[2], 0.2, 1e-12);
  EXPECT_NEAR(exits.p[3], 0, 1e-12);
  ASSERT_EQ(exits.q.size(), 3u);
  EXPECT_NEAR(exits.q[0], 0.3, 1e-12);
  EXPECT_NEAR(exits.q[1], 0.7143, 5e-5);
  EXPECT_NEAR(exits.q[2], 1, 1e-9);
}

TEST(ExitDistribution, SumsToOneWhateverTheGates) {
  for (uint64_t i = 0; i < 200; ++i) {
    CounterRandom random(3, i);
    std::vector<double> gates;
    for (int g = 0; g < 5; ++g) gates.push_back(random.Uniform());
    const ExitDistribution exits = ExitDistributionOf(gates);
    EXPECT_NEAR(std::accumulate(exits.p.begin(), exits.p.end(), 0.0), 1, 1e-12);
    for (const double p : exits.p) EXPECT_GE(p, 0);
  }
}

TEST(ExitGates, LeavesWhereTheDistributionSaysSo) {
  ExitState state;
  EXPECT_FALSE(ExitGates::Exits(0.3, state));  // q = .3
  EXPECT_TRUE(ExitGates::Exits(0.5, state));   // q = .7143
}

TEST(ExitGates, WhatIsNotANumberStaysAndTakesNoneOfTheMass) {
  ExitState state;
  EXPECT_FALSE(ExitGates::Exits(std::nan(""), state));
  EXPECT_FALSE(ExitGates::Exits(0.3, state));  // as if nothing had been asked before
  EXPECT_TRUE(ExitGates::Exits(0.5, state));
}

TEST(UncertaintyFeatures, AreThoseOfADistributionOfThree) {
  const auto f = UncertaintyFeatures({0.5f, 0.25f});  // the rest is .25
  EXPECT_NEAR(f[0], 0.5, 1e-12);
  EXPECT_NEAR(f[1], 1.5 * std::log(2.0), 1e-12);
  EXPECT_NEAR(f[2], 0.25, 1e-12);
  // Square roots .7071, .5, .5 over their sum.
  EXPECT_NEAR(f[3], 1.08439, 5e-6);
}

TEST(UncertaintyFeatures, OfASureAnswerHaveNoEntropy) {
  EXPECT_THAT(UncertaintyFeatures({1, 0}), testing::ElementsAre(1, 0, 1, 0));
}

TEST(ExitGates, MovesTheGateOfItsOwnStage) {
  // Stage 2 leaves from a largest probability of 1/2 on, stage 0 never.
  const ExitGates gates(StageList{{2, 0, 1}}, {0, 0, 0, 0, -20, 0, 0, 0, 0, 20});
  const AnswerConfidence row{0.9f, 0.1f};
  const std::vector<float> quality(3, 0.5f);
  ExitState state;
  EXPECT_FALSE(gates.Stands({2, {&row, 1}, quality}, state));
  EXPECT_TRUE(gates.Stands({0, {&row, 1}, quality}, state));
  EXPECT_THAT(gates.After(2), testing::ElementsAre(0, 1));
  EXPECT_TRUE(gates.After(1).empty());
}

}  // namespace
}  // namespace penstock::router
