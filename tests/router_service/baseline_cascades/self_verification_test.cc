#include "router_service/baseline_cascades/self_verification.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "gtest/gtest.h"

namespace penstock::router {
namespace {

// (verdict, small right, big right)
VerifierModel FitTo(const std::vector<std::array<float, 3>>& rows) {
  std::vector<float> verdict, small, big;
  for (const auto& row : rows) {
    verdict.push_back(row[0]);
    small.push_back(row[1]);
    big.push_back(row[2]);
  }
  return VerifierModel::Fit(verdict, small, big, 3);
}

TEST(VerifierModelTest, RowsSumToOne) {
  const VerifierModel model = FitTo({{0, 0, 1}, {0, 0, 0}, {1, 1, 1}, {.5f, 1, 0}});
  for (const auto& need : model.need) {
    EXPECT_NEAR(std::accumulate(need.begin(), need.end(), 0.0), 1, 1e-12);
  }
}

TEST(VerifierModelTest, CountsWithAThirdOfARequestEach) {
  const VerifierModel model = FitTo({{0, 0, 1}, {0, 0, 0}});
  EXPECT_NEAR(model.need[0][static_cast<size_t>(Need::kNeedy)], (1 + 1.0 / 3) / 3, 1e-12);
  EXPECT_NEAR(model.need[0][static_cast<size_t>(Need::kGood)], (1.0 / 3) / 3, 1e-12);
}

TEST(VerifierModelTest, BinsAreCentredOnTheSharesOfVotes) {
  EXPECT_EQ(VerifierModel::BinOf(0, 9), 0u);
  EXPECT_EQ(VerifierModel::BinOf(.0624f, 9), 0u);
  EXPECT_EQ(VerifierModel::BinOf(.0626f, 9), 1u);
  EXPECT_EQ(VerifierModel::BinOf(1, 9), 8u);
  EXPECT_EQ(VerifierModel::BinOf(7, 9), 8u);
}

TEST(RewardPolicyTest, WhatIsHopelessNeverGoesOn) {
  VerifierModel model;
  model.need = {{0, 0, 1}, {0, 1, 0}};
  model.gain = {0, 0};
  for (int reward = 0; reward < 5000; ++reward) {
    EXPECT_EQ(RewardPolicy(model, reward), (VerifierPolicy{0, 0})) << reward;
  }
}

TEST(RewardPolicyTest, WhatIsNeedyGoesOnOnceTheRewardExceedsThePrice) {
  VerifierModel model;
  model.need = {{1, 0, 0}};
  model.gain = {1};
  EXPECT_EQ(RewardPolicy(model, 100), VerifierPolicy{0});
  EXPECT_EQ(RewardPolicy(model, 101), VerifierPolicy{1});
}

TEST(CandidatePoliciesTest, APerfectVerifierFindsTheOraclePolicy) {
  // Verdict 0: hopeless, .5: needy, 1: good. The oracle asks the big model in the middle only.
  std::vector<std::array<float, 3>> rows;
  for (int i = 0; i < 30; ++i) {
    rows.push_back({0, 0, 0});
    rows.push_back({.5f, 0, 1});
    rows.push_back({1, 1, 1});
  }
  const std::vector<VerifierPolicy> policies = CandidatePolicies(FitTo(rows));
  EXPECT_NE(std::find(policies.begin(), policies.end(), VerifierPolicy({0, 1, 0})), policies.end());
}

TEST(CandidatePoliciesTest, NoneIsListedTwice) {
  std::vector<VerifierPolicy> policies = CandidatePolicies(FitTo({{0, 0, 1}, {1, 1, 1}}));
  const size_t size = policies.size();
  std::sort(policies.begin(), policies.end());
  policies.erase(std::unique(policies.begin(), policies.end()), policies.end());
  EXPECT_EQ(policies.size(), size);
}

TEST(IncrementalBenefitTest, IsZeroForARandomMix) {
  const PairPoint small{1, .4}, big{5, .8};
  EXPECT_NEAR(IncrementalBenefit({3, .6}, small, big), 0, 1e-9);
  EXPECT_NEAR(IncrementalBenefit({3, .8}, small, big), 100, 1e-9);
}

}  // namespace
}  // namespace penstock::router
