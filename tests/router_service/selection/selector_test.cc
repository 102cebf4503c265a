#include "router_service/selection/selector.h"

#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

using testing::HasSubstr;

SelectionCandidate Expert(double score, double latency_s, double energy_j, double weight = 0.5) {
  SelectionCandidate c;
  c.score = c.quality = score;
  c.weight = weight;
  c.latency_s = c.idle_latency_s = latency_s;
  c.energy_j = energy_j;
  return c;
}

// small: .6, 10 ms, 1 J; middle: .75, 50 ms, 5 J; large: .9, 200 ms, 60 J.
class SelectorTest : public testing::Test {
 protected:
  void Select() { selector_.Select(absl::MakeSpan(experts_), limits_, result_); }
  std::vector<size_t> Chosen() const {
    std::vector<size_t> chosen;
    for (const SelectedExpert& c : result_.chosen) chosen.push_back(c.expert);
    return chosen;
  }
  absl::Status Status() const { return SelectionStatus(result_, limits_, names_); }

  Selector selector_;
  std::vector<std::string> names_ = {"small", "middle", "large"};
  std::vector<SelectionCandidate> experts_ = {Expert(0.6, 0.01, 1), Expert(0.75, 0.05, 5),
                                              Expert(0.9, 0.2, 60)};
  SelectionLimits limits_;
  SelectionResult result_;
};

using Ids = std::vector<size_t>;

TEST_F(SelectorTest, WithoutLimitsTheBestRuns) {
  Select();
  EXPECT_EQ(Chosen(), Ids{2});
  EXPECT_EQ(result_.verdict, SelectionVerdict::kChosen);
  EXPECT_TRUE(Status().ok());
  EXPECT_EQ(result_.energy_j, 60);
}

TEST_F(SelectorTest, APriceMakesTheChoiceCheaper) {
  limits_.price_per_joule = 0.01;
  Select();
  EXPECT_EQ(Chosen(), Ids{1});
  limits_.price_per_joule = 0.1;
  Select();
  EXPECT_EQ(Chosen(), Ids{0});
}

TEST_F(SelectorTest, ALatencyBudgetExcludesAndSaysSo) {
  limits_.latency_budget_s = limits_.time_left_s = 0.1;
  Select();
  EXPECT_EQ(Chosen(), Ids{1});
  EXPECT_EQ(ExclusionName(experts_[2].excluded), "latency budget");
  EXPECT_EQ(experts_[0].excluded, Exclusion::kNone);
}

TEST_F(SelectorTest, AnEnergyBudgetExcludesAndSaysSo) {
  limits_.energy_cap_j = 4;
  Select();
  EXPECT_EQ(Chosen(), Ids{0});
  EXPECT_EQ(ExclusionName(experts_[1].excluded), "energy budget");
}

TEST_F(SelectorTest, UnhealthyExpertsNeverRun) {
  experts_[2].excluded = Exclusion::kUnhealthy;
  Select();
  EXPECT_EQ(Chosen(), Ids{1});
  EXPECT_EQ(ExclusionName(experts_[2].excluded), "unhealthy");
}

TEST_F(SelectorTest, ANonFiniteEstimateIsExcluded) {
  experts_[2].score = std::numeric_limits<double>::quiet_NaN();
  experts_[1].latency_s = std::numeric_limits<double>::infinity();
  Select();
  EXPECT_EQ(Chosen(), Ids{0});
  EXPECT_EQ(experts_[2].excluded, Exclusion::kNonFinite);
}

TEST_F(SelectorTest, NobodyHealthyIsUnavailable) {
  for (auto& expert : experts_) expert.excluded = Exclusion::kUnhealthy;
  Select();
  EXPECT_EQ(Status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(SelectorTest, TiesGoToTheLowestId) {
  experts_ = {Expert(0.5, 0.1, 3), Expert(0.7, 0.1, 3), Expert(0.7, 0.1, 3)};
  Select();
  EXPECT_EQ(Chosen(), Ids{1});
}

TEST_F(SelectorTest, SeveralExpertsAddTheirJoulesAndRunInParallel) {
  limits_.max_experts = 2;
  experts_[1].weight = 0.2;
  experts_[2].weight = 0.6;
  Select();
  EXPECT_EQ(Chosen(), (Ids{2, 1}));
  EXPECT_DOUBLE_EQ(result_.chosen[0].weight, 0.75);
  EXPECT_DOUBLE_EQ(result_.chosen[1].weight, 0.25);
  EXPECT_EQ(result_.energy_j, 65);
  EXPECT_EQ(result_.latency_s, 0.2);
  EXPECT_EQ(result_.quality, 0.9);  // a combiner promises no more than its best
}

TEST_F(SelectorTest, APairMustFitTheEnergyBudgetTogether) {
  limits_.max_experts = 2;
  limits_.energy_cap_j = 62;
  Select();
  EXPECT_EQ(Chosen(), (Ids{0, 2}));  // .6 + .9 and 61 J; weights tie
}

TEST_F(SelectorTest, AFurtherExpertMustBeWorthItsJoules) {
  limits_.max_experts = 3;
  limits_.price_per_joule = 0.2;  // small .4, middle -.25, large -11.1
  Select();
  EXPECT_EQ(Chosen(), Ids{0});
}

TEST_F(SelectorTest, SomeoneRunsEvenWhereNobodyIsWorthIt) {
  limits_.price_per_joule = 10;
  limits_.max_experts = 2;
  Select();
  EXPECT_EQ(Chosen(), Ids{0});
}

TEST_F(SelectorTest, WeightsAreEqualWhereTheGateGivesNone) {
  limits_.max_experts = 2;
  for (auto& expert : experts_) expert.weight = 0;
  Select();
  EXPECT_EQ(result_.chosen[0].weight, 0.5);
}

TEST_F(SelectorTest, LeastEnergyReachesTheQuality) {
  limits_.objective = Objective::kEnergy;
  limits_.max_experts = 2;
  limits_.min_quality = 0.7;
  Select();
  EXPECT_EQ(Chosen(), Ids{1});
  EXPECT_EQ(ExclusionName(experts_[0].excluded), "min quality");
}

TEST_F(SelectorTest, LeastLatencyReachesTheQuality) {
  limits_.objective = Objective::kLatency;
  experts_[2].latency_s = 0.03;
  limits_.min_quality = 0.7;
  Select();
  EXPECT_EQ(Chosen(), Ids{2});
}

TEST_F(SelectorTest, ForcedExpertsRunTogether) {
  const uint32_t forced[] = {0, 2};
  limits_.forced = forced;
  Select();
  EXPECT_EQ(Chosen(), (Ids{0, 2}));
  EXPECT_EQ(ExclusionName(experts_[1].excluded), "not in penstock_experts");
}

TEST_F(SelectorTest, AForcedExpertThatIsDownIsUnavailable) {
  const uint32_t forced[] = {2};
  limits_.forced = forced;
  experts_[2].excluded = Exclusion::kUnhealthy;
  Select();
  EXPECT_EQ(Status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(SelectorTest, ForcedExpertsKeepTheRequestsLimits) {
  const uint32_t forced[] = {2};
  limits_.forced = forced;
  limits_.energy_cap_j = 10;
  Select();
  EXPECT_EQ(Status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(result_.chosen.empty());
}

TEST_F(SelectorTest, InfeasibleOnAnIdlePlatformNamesCheapestAndFastest) {
  limits_.latency_budget_s = limits_.time_left_s = 0.1;
  limits_.energy_cap_j = 0.5;
  Select();
  const absl::Status status = Status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("the cheapest is small with 10 ms and 1 J"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("the fastest is small"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("energy budget 0.5 J"));
}

TEST_F(SelectorTest, InfeasibleBecauseOfAQueueIsDeadlineExceeded) {
  limits_.latency_budget_s = limits_.time_left_s = 0.02;
  experts_[0].latency_s = 0.5;  // idle: 10 ms
  Select();
  EXPECT_EQ(Status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(SelectorTest, InfeasibleBecauseOfTimeAlreadyGoneIsDeadlineExceeded) {
  limits_.latency_budget_s = 0.02;
  limits_.time_left_s = 0.001;
  Select();
  EXPECT_EQ(Status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(SelectorTest, DegradingGivesUpQualityFirst) {
  limits_.degrade = true;
  limits_.min_quality = 0.85;
  limits_.energy_cap_j = 10;
  Select();
  EXPECT_EQ(Chosen(), Ids{1});
  EXPECT_EQ(result_.verdict, SelectionVerdict::kDegraded);
  EXPECT_EQ(DegradedName(result_.degraded), "budget");  // large would reach it, and takes 60 J
  limits_.min_quality = 0.99;
  experts_[1].excluded = Exclusion::kNone;
  experts_[2].excluded = Exclusion::kNone;
  Select();
  EXPECT_EQ(DegradedName(result_.degraded), "quality");  // nobody reaches it
}

TEST_F(SelectorTest, DegradingGivesUpJoulesBeforeLatency) {
  limits_.degrade = true;
  limits_.latency_budget_s = limits_.time_left_s = 0.1;
  limits_.energy_cap_j = 2;
  experts_[0].latency_s = 0.3;
  Select();
  EXPECT_EQ(Chosen(), Ids{1});
  EXPECT_EQ(DegradedName(result_.degraded), "budget");
}

TEST_F(SelectorTest, DegradingGivesUpLatencyOnlyWhereNobodyIsInTime) {
  limits_.degrade = true;
  limits_.latency_budget_s = limits_.time_left_s = 0.001;
  Select();
  EXPECT_EQ(Chosen(), Ids{0});
  EXPECT_EQ(DegradedName(result_.degraded), "deadline");
}

TEST_F(SelectorTest, WhatBudgetsDoNotCoverIsNotChosen) {
  limits_.headroom_j = 10;
  Select();
  EXPECT_EQ(Chosen(), Ids{1});
  EXPECT_EQ(result_.verdict, SelectionVerdict::kDegraded);
  EXPECT_EQ(result_.degraded, Degraded::kBudget);
  EXPECT_EQ(ExclusionName(experts_[2].excluded), "budget");
}

TEST_F(SelectorTest, TheCheapestRunsWithoutAnyHeadroom) {
  limits_.headroom_j = 0;
  Select();
  EXPECT_EQ(Chosen(), Ids{0});
  EXPECT_EQ(result_.degraded, Degraded::kBudget);
}

TEST_F(SelectorTest, NothingIsDegradedWhereThePriceChoseTheCheapestAnyway) {
  limits_.headroom_j = 0;
  limits_.price_per_joule = 1;
  Select();
  EXPECT_EQ(Chosen(), Ids{0});
  EXPECT_EQ(result_.verdict, SelectionVerdict::kChosen);
  EXPECT_EQ(result_.degraded, Degraded::kNone);
}

TEST_F(SelectorTest, TheSameQuestionGetsTheSameAnswer) {
  limits_.max_experts = 3;
  limits_.energy_cap_j = 62;
  Select();
  const Ids first = Chosen();
  const double objective = result_.objective;
  for (auto& expert : experts_) expert.excluded = Exclusion::kNone;
  Select();
  EXPECT_EQ(Chosen(), first);
  EXPECT_EQ(result_.objective, objective);
}

}  // namespace
}  // namespace penstock::router
