#include "router_service/gating/weights/dselect_k_weights.h"

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;

DselectKWeights Weights(size_t experts, size_t selectors) {
  DselectKOptions options;
  options.experts = experts;
  options.selectors = selectors;
  return DselectKWeights(options);
}

std::vector<double> Forward(const DselectKWeights& weights, const std::vector<double>& heads) {
  std::vector<double> g(weights.experts());
  weights.Forward(heads, {}, absl::MakeSpan(g));
  return g;
}

TEST(CodeBits, AreAsFewAsNumberTheExperts) {
  EXPECT_EQ(CodeBits(1), 0u);
  EXPECT_EQ(CodeBits(2), 1u);
  EXPECT_EQ(CodeBits(3), 2u);
  EXPECT_EQ(CodeBits(4), 2u);
  EXPECT_EQ(CodeBits(5), 3u);
}

TEST(DselectKWeights, SaturatedBitsNameOneExpert) {
  EXPECT_THAT(Forward(Weights(4, 1), {0.6, -0.6, 0}), ElementsAre(0, 0, 1, 0));
}

TEST(DselectKWeights, UnsaturatedBitsSpreadOverTheCodes) {
  EXPECT_THAT(Forward(Weights(4, 1), {0.25, -0.25, 0}),
              ElementsAre(DoubleNear(0.131836, 5e-7), DoubleNear(0.024414, 5e-7),
                          DoubleNear(0.711914, 5e-7), DoubleNear(0.131836, 5e-7)));
}

TEST(DselectKWeights, TakesOutTheMassOfUnreachableCodes) {
  const DselectKWeights weights = Weights(3, 1);
  EXPECT_NEAR(weights.ReachableMass(std::vector<double>{0.25, 0.25}), 0.288086, 5e-7);
  const std::vector<double> g = Forward(weights, {0.25, 0.25, 0});
  EXPECT_NEAR(g[0] + g[1] + g[2], 1, 1e-15);
  EXPECT_NEAR(g[1] / g[0], 0.131836 / 0.024414, 1e-4);
}

TEST(DselectKWeights, ASelectorThatNamesNobodyIsClampedToTheNearestCode) {
  // Code 3 of 3 experts; its second bit is the less certain one.
  EXPECT_THAT(Forward(Weights(3, 1), {0.9, 0.6, 0}), ElementsAre(0, 0, 1));
}

TEST(DselectKWeights, SelectorsThatNameOneExpertAddUp) {
  EXPECT_THAT(Forward(Weights(4, 2), {0.6, 0.6, 0.6, 0.6, 1, -2}), ElementsAre(0, 0, 0, 1));
}

TEST(DselectKWeights, MixesSelectorsBySoftmax) {
  const std::vector<double> g = Forward(Weights(4, 2), {-0.6, -0.6, 0.6, 0.6, 1, 0});
  EXPECT_NEAR(g[0], 0.731059, 5e-7);
  EXPECT_NEAR(g[3], 0.268941, 5e-7);
}

TEST(DselectKWeights, OneExpertHasEverything) {
  EXPECT_THAT(Forward(Weights(1, 1), {0.3}), ElementsAre(1));
}

TEST(DselectKWeights, PenalisesSpreadAndUnreachableMass) {
  DselectKOptions options;
  options.experts = 3;
  options.entropy = 1;
  options.reachability = 0;
  std::vector<double> gradient(3, 0.0);
  const DselectKWeights spread(options);
  EXPECT_NEAR(spread.Penalty(std::vector<double>{0.6, -0.6, 0}, absl::MakeSpan(gradient)), 0, 1e-5);
  EXPECT_NEAR(spread.Penalty(std::vector<double>{0, 0, 0}, absl::MakeSpan(gradient)), std::log(4.0),
              1e-4);
  options.entropy = 0;
  options.reachability = 1;
  const DselectKWeights reach(options);
  EXPECT_NEAR(reach.Penalty(std::vector<double>{0.25, 0.25, 0}, absl::MakeSpan(gradient)),
              1 / (1e-6 + 0.2880859375), 1e-6);
}

}  // namespace
}  // namespace penstock::router
