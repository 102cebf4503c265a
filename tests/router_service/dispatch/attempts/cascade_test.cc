#include "router_service/dispatch/attempts/cascade.h"
#include "router_service/dispatch/attempts/replacement.h"

#include <limits>
#include <vector>

#include "gtest/gtest.h"

namespace penstock::router {
namespace {

EscalationOption Option(size_t expert, double p_right, double energy_j, double latency_s = 0.01) {
  return {expert, p_right, energy_j, latency_s, true};
}

EscalationLimits AtPrice(double price) {
  EscalationLimits limits;
  limits.price_per_joule = price;
  return limits;
}

TEST(CascadeTest, EscalatesOnlyWhereTheGainExceedsThePrice) {
  // v (p_big - p_stay) = .25 against a price of joules of .2 and of .25.
  const std::vector<EscalationOption> options = {Option(3, 0.75, 2)};
  const Escalation yes = DecideEscalation(0.5, options, AtPrice(0.1));
  ASSERT_TRUE(yes.option.has_value());
  EXPECT_EQ(*yes.option, 0u);
  EXPECT_NEAR(yes.gain, 0.05, 1e-12);
  EXPECT_FALSE(DecideEscalation(0.5, options, AtPrice(0.125)).option.has_value());
}

TEST(CascadeTest, AnAnswerWhoseConfidenceIsNotANumberIsWorthNothing) {
  const std::vector<EscalationOption> options = {Option(3, 0.5, 2)};
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_NEAR(DecideEscalation(nan, options, AtPrice(0.1)).gain, 0.3, 1e-12);
  EXPECT_FALSE(DecideEscalation(nan, options, AtPrice(0.3)).option);
}

// .25 of gain against dollars and accelerator seconds beside joules.
TEST(CascadeTest, PricesOfOtherResourcesCountAndTheirHeadroomBinds) {
  std::vector<EscalationOption> options = {Option(3, 0.75, 1)};
  options[0].dollars = 0.01;
  options[0].accelerator_seconds = 2;
  EscalationLimits limits = AtPrice(0.1);
  limits.others.dollars.price = 5;                 // .05
  limits.others.accelerator_seconds.price = 0.04;  // .08
  EXPECT_NEAR(DecideEscalation(0.5, options, limits).gain, 0.02, 1e-12);
  limits.others.dollars.headroom = 0.009;
  const Escalation uncovered = DecideEscalation(0.5, options, limits);
  EXPECT_FALSE(uncovered.option);
  EXPECT_TRUE(uncovered.stopped_by_budget);
  limits.others.dollars = {8, 1};
  EXPECT_FALSE(DecideEscalation(0.5, options, limits).option);
}

TEST(CascadeTest, ThePriceIsPaidWhetherOrNotItHelps) {
  // Wrong with .5, corrected with .667 if asked, and the question costs as much as an answer is
  // worth: p_big - p_stay = .3335 < 1.
  EXPECT_FALSE(DecideEscalation(0.5, std::vector{Option(1, 0.8335, 1)}, AtPrice(1)).option);
}

TEST(CascadeTest, ADearerAnswerThatIsNoBetterIsNotAsked) {
  EXPECT_FALSE(
      DecideEscalation(0.9, std::vector{Option(1, 0.9, 0), Option(2, 0.2, 0)}, AtPrice(0)).option);
}

TEST(CascadeTest, TakesTheLargestGain) {
  const std::vector<EscalationOption> options = {Option(1, 0.8, 5), Option(2, 0.95, 60)};
  EXPECT_EQ(DecideEscalation(0.3, options, AtPrice(0.001)).option, 1u);
  EXPECT_EQ(DecideEscalation(0.3, options, AtPrice(0.01)).option, 0u);
}

TEST(CascadeTest, TiesGoToFewerJoulesThenToTheFirst) {
  EXPECT_EQ(
      DecideEscalation(
          0.25, std::vector{Option(1, 0.75, 4), Option(2, 0.75, 2), Option(3, 0.75, 2)}, AtPrice(0))
          .option,
      1u);
}

TEST(CascadeTest, TheValueOfARightAnswerScalesTheGain) {
  EscalationLimits limits = AtPrice(0.1);
  const std::vector<EscalationOption> options = {Option(1, 0.6, 2)};
  EXPECT_FALSE(DecideEscalation(0.5, options, limits).option);
  limits.value = 3;
  EXPECT_TRUE(DecideEscalation(0.5, options, limits).option);
}

TEST(CascadeTest, TimeAndJoulesMustAllowIt) {
  const std::vector<EscalationOption> options = {Option(1, 0.8, 5, 0.02), Option(2, 0.95, 60, 0.2)};
  EscalationLimits limits = AtPrice(0.0001);
  limits.time_left_s = 0.1;
  Escalation decision = DecideEscalation(0.3, options, limits);
  EXPECT_EQ(decision.option, 0u);
  EXPECT_TRUE(decision.stopped_by_deadline);
  EXPECT_FALSE(decision.stopped_by_budget);

  limits = AtPrice(0.0001);
  limits.request_joules_left = 10;
  decision = DecideEscalation(0.3, options, limits);
  EXPECT_EQ(decision.option, 0u);
  EXPECT_FALSE(decision.stopped_by_budget);  // the request asked for no more

  limits = AtPrice(0.0001);
  limits.headroom_j = 10;
  decision = DecideEscalation(0.3, options, limits);
  EXPECT_EQ(decision.option, 0u);
  EXPECT_TRUE(decision.stopped_by_budget);

  limits = AtPrice(0.0001);
  limits.headroom_j = 1;
  decision = DecideEscalation(0.3, options, limits);
  EXPECT_FALSE(decision.option.has_value());
  EXPECT_TRUE(decision.stopped_by_budget);
}

TEST(CascadeTest, AnAnswerThatMayTakeTooMuchIsNotAskedFor) {
  std::vector<EscalationOption> options = {Option(1, 0.8, 5), Option(2, 0.95, 6)};
  options[0].largest_j = 20;
  options[1].largest_j = 500;
  EscalationLimits limits = AtPrice(0.0001);
  limits.largest_j = 500;
  EXPECT_EQ(DecideEscalation(0.3, options, limits).option, 1u);
  limits.largest_j = 499;
  const Escalation decision = DecideEscalation(0.3, options, limits);
  EXPECT_EQ(decision.option, 0u);
  EXPECT_TRUE(decision.stopped_by_budget);
  limits.max_escalations = 2;
  EXPECT_EQ(DecideStage(options, limits).option, 0u);
  limits.escalations_done = 1;
  EXPECT_FALSE(DecideStage(options, limits).option.has_value());
  EXPECT_TRUE(DecideStage(options, limits).stopped_by_budget);
  EXPECT_EQ(DecideReplacement(options, limits).option, 0u);
  options[1].largest_j = 0;  // not known
  EXPECT_EQ(DecideReplacement(options, limits).option, 1u);
  EXPECT_EQ(DecideStage(options, limits).option, 1u);
}

TEST(CascadeTest, WhatWouldNotHaveBeenAskedAnywayIsNotStopped) {
  EscalationLimits limits = AtPrice(1);
  limits.headroom_j = 0;
  EXPECT_FALSE(DecideEscalation(0.3, std::vector{Option(1, 0.8, 5)}, limits).stopped_by_budget);
}

TEST(CascadeTest, EscalationsAreLimited) {
  EscalationLimits limits = AtPrice(0);
  limits.max_escalations = 2;
  limits.escalations_done = 1;
  EXPECT_TRUE(DecideEscalation(0.3, std::vector{Option(1, 0.8, 5)}, limits).option);
  limits.escalations_done = 2;
  EXPECT_FALSE(DecideEscalation(0.3, std::vector{Option(1, 0.8, 5)}, limits).option);
}

TEST(SlowCheckTest, IsDueWithinDeltaOfTheBoundaryOnEitherSide) {
  // Gains of +.05 and -.05 at prices of .1 and .15 a joule.
  const std::vector<EscalationOption> options = {Option(3, 0.75, 2)};
  for (const double price : {0.1, 0.15}) {
    const Escalation fast = DecideEscalation(0.5, options, AtPrice(price));
    EXPECT_TRUE(NearBoundary(fast, 1, 0.051)) << price;
    EXPECT_FALSE(NearBoundary(fast, 1, 0.049)) << price;
    EXPECT_TRUE(NearBoundary(fast, 2, 0.026)) << price;
  }
}

TEST(SlowCheckTest, ADeltaOfZeroNeverAsks) {
  // A gain of 0 to the bit.
  const Escalation fast = DecideEscalation(0.5, std::vector{Option(3, 0.75, 2)}, AtPrice(0.125));
  EXPECT_EQ(fast.best_gain, 0);
  EXPECT_FALSE(NearBoundary(fast, 1, 0));
  EXPECT_TRUE(NearBoundary(fast, 1, 1e-12));
}

TEST(SlowCheckTest, TheShareOfChecksGrowsWithDelta) {
  int last = 0;
  for (const double delta : {0.0, 0.01, 0.05, 0.1, 0.3, 1.0}) {
    int checks = 0;
    for (int i = 0; i <= 100; ++i) {
      const Escalation fast =
          DecideEscalation(i / 100.0, std::vector{Option(1, 0.8, 1)}, AtPrice(0.1));
      checks += NearBoundary(fast, 1, delta);
    }
    EXPECT_GE(checks, last) << delta;
    last = checks;
  }
  EXPECT_EQ(last, 101);
}

TEST(SlowCheckTest, WhereNothingMayBeAskedThereIsNothingToCheck) {
  EscalationLimits limits = AtPrice(0.1);
  limits.request_joules_left = 1;
  const Escalation fast = DecideEscalation(0.5, std::vector{Option(3, 0.75, 2)}, limits);
  EXPECT_FALSE(NearBoundary(fast, 1, 1));
}

TEST(InterventionThresholdTest, IsBayesRisk) {
  EXPECT_NEAR(InterventionThreshold(1, 1, 1), 0.5, 1e-12);
  EXPECT_NEAR(InterventionThreshold(1, 1, 0.5), 0.66667, 5e-6);
  EXPECT_NEAR(InterventionThreshold(1, 4, 1), 0.2, 1e-12);
  EXPECT_NEAR(InterventionThreshold(4, 1, 0.5), 0.88889, 5e-6);
}

TEST(StageTest, TheNextStageIsAskedWhileTheLastMayFollow) {
  // No gain, and a price that no gain would be worth: a stated risk is kept all the same.
  const std::vector<EscalationOption> later = {Option(1, 0.2, 2), Option(2, 0.2, 5)};
  EscalationLimits limits = AtPrice(100);
  limits.max_escalations = 2;
  EXPECT_EQ(DecideStage(later, limits).option, 0u);
  limits.escalations_done = 1;
  EXPECT_EQ(DecideStage(later, limits).option, 1u);  // the middle's answer could not be doubted
  limits.escalations_done = 2;
  EXPECT_FALSE(DecideStage(later, limits).option.has_value());
  EXPECT_FALSE(DecideStage({}, AtPrice(0)).option.has_value());
}

TEST(StageTest, ANextStageThatCannotBeAskedIsSkippedForTheLast) {
  std::vector<EscalationOption> later = {Option(1, 0.8, 2, 0.5), Option(2, 0.9, 5, 0.05),
                                         Option(3, 0.95, 9, 0.1)};
  EscalationLimits limits;
  limits.max_escalations = 3;
  limits.time_left_s = 0.2;
  const Escalation skipped = DecideStage(later, limits);
  EXPECT_EQ(skipped.option, 2u);
  EXPECT_FALSE(skipped.stopped_by_deadline);
  later[0].latency_s = 0.01;
  EXPECT_EQ(DecideStage(later, limits).option, 0u);
  later[0].admissible = false;
  EXPECT_EQ(DecideStage(later, limits).option, 2u);
}

TEST(StageTest, SaysWhatKeepsTheLastStageFromBeingAsked) {
  std::vector<EscalationOption> later = {Option(2, 0.9, 5, 0.05)};
  EscalationLimits limits;
  limits.time_left_s = 0.01;
  EXPECT_TRUE(DecideStage(later, limits).stopped_by_deadline);
  limits = EscalationLimits();
  limits.headroom_j = 4;
  EXPECT_TRUE(DecideStage(later, limits).stopped_by_budget);
  EXPECT_FALSE(DecideStage(later, limits).option.has_value());
  limits = EscalationLimits();
  limits.request_joules_left = 4;
  const Escalation own = DecideStage(later, limits);
  EXPECT_FALSE(own.option || own.stopped_by_budget || own.stopped_by_deadline);
}

TEST(CascadeTest, InadmissibleAndNonFiniteOptionsAreNotAsked) {
  std::vector<EscalationOption> options = {Option(1, 0.9, 1),
                                           Option(2, std::numeric_limits<double>::quiet_NaN(), 1)};
  options[0].admissible = false;
  EXPECT_FALSE(DecideEscalation(0.3, options, AtPrice(0)).option);
}

}  // namespace
}  // namespace penstock::router
