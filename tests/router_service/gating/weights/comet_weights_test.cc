#include "router_service/gating/weights/comet_weights.h"

#include <cmath>
#include <map>

#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "router_service/gating/weights/tree_descent.h"

namespace penstock::router {
namespace {

using ::testing::DoubleEq;
using ::testing::DoubleNear;
using ::testing::ElementsAre;

CometWeights Weights(size_t experts, size_t trees) {
  return CometWeights({experts, trees, 1, 0, LeavesInOrder(experts, trees)});
}

std::vector<double> Forward(const CometWeights& weights, const std::vector<double>& heads) {
  std::vector<double> g(weights.experts());
  weights.Forward(heads, {}, absl::MakeSpan(g));
  return g;
}

TEST(CometWeights, PathsMultiplySmoothSteps) {
  EXPECT_THAT(Weights(4, 1).PathProbabilities(std::vector<double>{0.25, 0.6, -0.6}),
              ElementsAre(0.84375, 0, 0, 0.15625));
}

TEST(CometWeights, LeavesThatAreReachedShareBySoftmax) {
  EXPECT_THAT(Forward(Weights(4, 1), {0.25, 0.6, -0.6, 0, 1, 2, 3}),
              ElementsAre(DoubleNear(0.211885, 5e-7), 0, 0, DoubleNear(0.788115, 5e-7)));
}

TEST(CometWeights, TreesShareOneSoftmax) {
  const std::vector<double> heads = {0.6,  0.6, 0,   0, 9, 9, 9,   // leaf 0, score 0
                                     -0.6, 0,   0.6, 9, 9, 1, 9};  // leaf 2, score 1
  EXPECT_THAT(Forward(Weights(4, 2), heads),
              ElementsAre(DoubleNear(0.268941, 5e-7), 0, DoubleNear(0.731059, 5e-7), 0));
}

TEST(CometWeights, TreesThatReachOneExpertAddUp) {
  const std::vector<double> heads = {0.6, 0.6, 0, 0, 9, 9, 9, 0.6, 0.6, 0, 5, 9, 9, 9};
  EXPECT_THAT(Forward(Weights(4, 2), heads), ElementsAre(DoubleEq(1), 0, 0, 0));
}

TEST(CometWeights, RenumberingExpertsAndLeavesTogetherChangesNothing) {
  const std::vector<double> heads = {0.1, -0.2, 0.3, 0.5, -1, 2, 0.25};
  const std::vector<double> g = Forward(Weights(4, 1), heads);
  const std::vector<size_t> renamed = {2, 0, 3, 1};  // of expert i
  const std::vector<double> other = Forward(CometWeights({4, 1, 1, 0, renamed}), heads);
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(other[renamed[i]], g[i]);
}

TEST(CometWeights, ATreeOfOneLeafIsThatLeaf) {
  EXPECT_THAT(Forward(Weights(1, 1), {-3}), ElementsAre(1));
}

// Weights of one tree by descent, and how many nodes it read.
std::vector<double> Lazily(size_t experts, const std::vector<double>& heads, size_t& nodes_read) {
  std::vector<double> weights(experts, 0.0);
  double sum = 0;
  nodes_read = 0;
  DescendTree(
      experts, 1,
      [&](size_t v) {
        ++nodes_read;
        return heads[v];
      },
      [](size_t) { return true; },
      [&](size_t leaf, double log_probability) {
        weights[leaf] = std::exp(log_probability + heads[experts - 1 + leaf]);
        sum += weights[leaf];
      });
  for (double& weight : weights) weight /= sum;
  return weights;
}

TEST(DescendTree, AgreesWithAllLeaves) {
  for (const size_t experts : {1, 2, 3, 5, 8, 13, 64}) {
    for (const double spread : {0.3, 0.8, 4.0}) {
      CounterRandom random(3, experts);
      std::vector<double> heads(2 * experts - 1);
      for (double& head : heads) head = spread * (2 * random.Uniform() - 1);
      size_t nodes_read = 0;
      const std::vector<double> lazy = Lazily(experts, heads, nodes_read);
      const std::vector<double> full = Forward(Weights(experts, 1), heads);
      for (size_t i = 0; i < experts; ++i) {
        EXPECT_NEAR(lazy[i], full[i], 1e-13) << experts << " experts, leaf " << i;
        EXPECT_EQ(lazy[i] == 0, full[i] == 0);
      }
    }
  }
}

TEST(DescendTree, ReadsOnePathOfASaturatedTree) {
  std::vector<double> heads(2 * 64 - 1, 1.0);
  size_t nodes_read = 0;
  EXPECT_EQ(Lazily(64, heads, nodes_read)[0], 1);
  EXPECT_EQ(nodes_read, 6u);
}

TEST(DescendTree, VisitsLeavesFromTheLeft) {
  std::vector<size_t> leaves;
  DescendTree(
      4, 1, [](size_t) { return 0.0; }, [](size_t) { return true; },
      [&](size_t leaf, double) { leaves.push_back(leaf); });
  EXPECT_THAT(leaves, ElementsAre(0, 1, 2, 3));
}

TEST(DescendTree, PassesADeadEndOnTheOtherSide) {
  // All certain of leaf 0, below nodes 1 and 3 of 8 leaves; only leaf 6 (node 13) is open.
  std::map<size_t, double> leaves;
  DescendTree(
      8, 1, [](size_t) { return 1.0; },
      [](size_t v) { return v == 0 || v == 2 || v == 6 || v == 13; },
      [&](size_t leaf, double log_probability) { leaves[leaf] = log_probability; });
  EXPECT_THAT(leaves, ElementsAre(std::pair<const size_t, double>(6, 0)));
}

}  // namespace
}  // namespace penstock::router
