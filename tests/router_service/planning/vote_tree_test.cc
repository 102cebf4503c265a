#include "router_service/planning/vote_tree.h"

#include <cmath>
#include <vector>

#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace penstock::router {
namespace {

using ::testing::HasSubstr;

TEST(VoteTreeTest, KnowsTheSlopesOfOddMajorities) {
  EXPECT_NEAR(MajoritySlope(3), 1.5, 1e-12);
  EXPECT_NEAR(MajoritySlope(5), 1.875, 1e-12);
  EXPECT_NEAR(MajoritySlope(7), 2.1875, 1e-12);
  EXPECT_NEAR(MajoritySlope(9), 2.4609375, 1e-12);
  EXPECT_NEAR(MajoritySlope(11), 2.70703125, 1e-12);
  EXPECT_NEAR(LevelGain(3, .9, .5), 1.125, 1e-12);
}

TEST(VoteTreeTest, KnowsTheFixedSignals) {
  EXPECT_NEAR(FixedSignal(3, .9, 0), .97991, 5e-6);
  EXPECT_EQ(FixedSignal(3, .6, 0), 0);
  EXPECT_NEAR(FixedSignal(3, .9, .5), .82817, 5e-6);
  EXPECT_NEAR(FixedSignal(5, .9, .2), .97119, 5e-6);
  EXPECT_NEAR(FixedSignal(5, .7, .2), .77996, 5e-6);
}

TEST(VoteTreeTest, KnowsTheExponents) {
  const auto exponent = [](size_t b, double rho) {
    return std::log(LevelGain(b, 1, rho)) / std::log(b);
  };
  EXPECT_NEAR(exponent(3, 0), .369, 5e-4);
  EXPECT_NEAR(exponent(5, 0), .391, 5e-4);
  EXPECT_NEAR(exponent(7, 0), .402, 5e-4);
  EXPECT_NEAR(exponent(33, 0), .438, 5e-4);
  EXPECT_NEAR(exponent(3, .2), .306, 5e-4);
  for (size_t b = 3; b < 400; b += 2) EXPECT_LT(exponent(b, 0), 0.5);
}

TEST(VoteTreeTest, TheMajorityOfThreeIsItsPolynomial) {
  for (const double mu : {-1.0, -.5, 0.0, .3, 1.0}) {
    EXPECT_NEAR(MajoritySignal(3, mu), 1.5 * mu - .5 * mu * mu * mu, 1e-12);
  }
}

TEST(VoteTreeTest, AveragingCannotGoBelowItsFloor) {
  double v = 1;
  for (int level = 0; level < 200; ++level) v = .3 * v + .7 * v / 5 + .04 / 5;
  EXPECT_NEAR(AveragingFloor(5, .3, .04), v, 1e-9);
}

TEST(VoteTreeTest, OneAnswerWhereMoreBudgetImprovesItFasterThanVoting) {
  const auto plan =
      PlanVoteTree({.budget = 1000, .beta = .5, .kappa = .02, .message = 10, .window = 1e4});
  ASSERT_THAT(plan, IsOk());
  EXPECT_FALSE(plan->voting_can_pay);
  EXPECT_EQ(plan->leaves, 1u);
  EXPECT_NEAR(plan->signal, plan->single_signal, 1e-12);
}

TEST(VoteTreeTest, ATreeWhereVotingImprovesFaster) {
  const VoteTreeRequest request = {
      .budget = 2187, .beta = .1, .kappa = .1, .message = 10, .window = 30};
  const auto plan = PlanVoteTree(request);
  ASSERT_THAT(plan, IsOk());
  EXPECT_TRUE(plan->voting_can_pay);
  EXPECT_EQ(plan->voters, 3u);  // the window reads three messages
  EXPECT_GT(plan->leaves, 1u);
  EXPECT_GT(plan->signal, plan->single_signal);
  EXPECT_GT(plan->exponent, request.beta);
  EXPECT_NEAR(plan->leaf_budget, 2187.0 / static_cast<double>(plan->leaves), 1e-9);
}

TEST(VoteTreeTest, MessagesAndLeavesThatCostKeepTheTreeSmall) {
  VoteTreeRequest request = {.budget = 2187, .beta = .1, .kappa = .1, .message = 10, .window = 30};
  request.least_leaf = 500;
  const auto plan = PlanVoteTree(request);
  ASSERT_THAT(plan, IsOk());
  EXPECT_LE(plan->leaves, 3u);
}

TEST(VoteTreeTest, RefusesAnEvenFanIn) {
  EXPECT_THAT(PlanVoteTree({.budget = 1, .beta = .1, .kappa = 1, .window = 10, .voters = 4}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("odd")));
}

// The signal of a tree's root, by playing it: siblings agree with probability rho, else they are
// independent; a message is turned round with probability (1 - gamma) / 2.
bool Play(size_t levels, size_t voters, double leaf, double fidelity, double correlation,
          CounterRandom& random) {
  if (levels == 0) return random.Uniform() < 0.5 * (1 + leaf);
  const bool alike = random.Uniform() < correlation;
  size_t right = 0;
  bool first = false;
  for (size_t i = 0; i < voters; ++i) {
    if (i == 0 || !alike) {
      first = Play(levels - 1, voters, leaf, fidelity, correlation, random);
      if (random.Uniform() < 0.5 * (1 - fidelity)) first = !first;
    }
    right += first ? 1 : 0;
  }
  return 2 * right > voters;
}

TEST(VoteTreeTest, PlayedTreesAgreeWithTheRecursion) {
  constexpr int kPlays = 200000;
  for (const auto& [voters, fidelity, correlation] :
       std::vector<std::tuple<size_t, double, double>>{{3, .9, 0}, {3, .9, .5}, {5, .7, .2}}) {
    double expected = .3;
    for (int level = 0; level < 3; ++level) {
      expected = correlation * fidelity * expected +
                 (1 - correlation) * MajoritySignal(voters, fidelity * expected);
    }
    CounterRandom random(2, voters);
    int right = 0;
    for (int i = 0; i < kPlays; ++i) {
      right += Play(3, voters, .3, fidelity, correlation, random) ? 1 : 0;
    }
    const double signal = 2.0 * right / kPlays - 1;
    const double error = std::sqrt((1 - expected * expected) / kPlays);
    EXPECT_NEAR(signal, expected, 2 * error);
  }
}

}  // namespace
}  // namespace penstock::router
