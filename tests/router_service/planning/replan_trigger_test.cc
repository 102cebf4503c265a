#include "router_service/planning/replan_trigger.h"

#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"

namespace penstock::router {
namespace {

PlanBasis Basis() {
  return {.experts = {{"large", {100, 2}}, {"small", {10, 0.5}}},
          .budgets = {50, 1},
          .gate_version = 3};
}

class ReplanTriggerTest : public ::testing::Test {
 protected:
  FakeClock clock_;
  ReplanTrigger trigger_{{}, clock_};
};

TEST_F(ReplanTriggerTest, IsDueBeforeTheFirstPlan) {
  EXPECT_EQ(trigger_.Due(Basis()), ReplanReason::kFirst);
  trigger_.Planned(Basis());
  EXPECT_EQ(trigger_.Due(Basis()), ReplanReason::kNone);
}

TEST_F(ReplanTriggerTest, IsDueWhenAnExpertJoinsOrLeavesOrAnotherTakesItsPlace) {
  trigger_.Planned(Basis());
  PlanBasis basis = Basis();
  basis.experts["tiny"] = {1, 0.1};
  EXPECT_EQ(trigger_.Due(basis), ReplanReason::kExperts);
  basis.experts.erase("small");
  EXPECT_EQ(trigger_.Due(basis), ReplanReason::kExperts);
  basis.experts.erase("tiny");
  EXPECT_EQ(trigger_.Due(basis), ReplanReason::kExperts);
}

TEST_F(ReplanTriggerTest, IsDueWhenABudgetOrTheGateChanges) {
  trigger_.Planned(Basis());
  PlanBasis basis = Basis();
  basis.budgets[1] = 1.001;
  EXPECT_EQ(trigger_.Due(basis), ReplanReason::kBudget);
  basis = Basis();
  basis.gate_version = 4;
  EXPECT_EQ(trigger_.Due(basis), ReplanReason::kGate);
}

TEST_F(ReplanTriggerTest, IsDueWhenACostHasDriftedByMoreThanATenthEitherWay) {
  trigger_.Planned(Basis());
  PlanBasis basis = Basis();
  basis.experts["large"].energy_j = 109;
  basis.experts["small"].latency_s = 0.46;
  EXPECT_EQ(trigger_.Due(basis), ReplanReason::kNone);
  basis.experts["large"].energy_j = 111;
  EXPECT_EQ(trigger_.Due(basis), ReplanReason::kDrift);
  basis = Basis();
  basis.experts["small"].latency_s = 0.44;
  EXPECT_EQ(trigger_.Due(basis), ReplanReason::kDrift);
}

TEST_F(ReplanTriggerTest, IsDueAfterThePeriodSinceTheLastPlan) {
  trigger_.Planned(Basis());
  clock_.Advance(absl::Seconds(59));
  EXPECT_EQ(trigger_.Due(Basis()), ReplanReason::kNone);
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(trigger_.Due(Basis()), ReplanReason::kPeriod);
  trigger_.Planned(Basis());
  EXPECT_EQ(trigger_.Due(Basis()), ReplanReason::kNone);
}

}  // namespace
}  // namespace penstock::router
