#include "router_service/planning/class_planner.h"

#include <cmath>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/router_service/planning/set_instance.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"

namespace penstock::router {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr SetSearchLimits kExact = {.time = absl::InfiniteDuration()};

ClassPlan Solve(const SetInstance& instance, const SetSearchLimits& search = kExact) {
  const FakeClock clock;
  const auto plan = PlanClass(instance.coverage(), instance.request, search, clock);
  EXPECT_THAT(plan, IsOk());
  return plan.ok() ? *plan : ClassPlan{};
}

// Five experts and four requests, small enough to do by hand.
SetInstance HandInstance(double energy_j, double latency_s, size_t k) {
  SetInstance instance;
  instance.rows = 4;
  instance.values = {.9, .1, .2, .3, .2, .7, .3, .2, .1, .2,
                     .6, .1, .8, .9, .9, .5, .3, .3, .4, .95};
  instance.request.costs = {{4, .5}, {3, .4}, {2, .3}, {6, 1.2}, {5, .9}};
  instance.request.limits.k = k;
  instance.request.limits.energy_j = energy_j;
  instance.request.limits.latency_s = latency_s;
  return instance;
}

TEST(ClassPlannerTest, FindsTheKnownOptimaOfASmallInstance) {
  struct Known {
    double energy_j, latency_s, k1, k2;
  };
  for (const Known& known : std::vector<Known>{{9, 1, .6375, .8625},
                                               {9, 2, .775, 1.125},
                                               {12, 1, .7375, 1.0375},
                                               {6, 2, .775, .775},
                                               {20, 2, .9125, 1.5625},
                                               {1, 2, 0, 0}}) {
    SCOPED_TRACE(absl::StrCat(known.energy_j, " J, ", known.latency_s, " s"));
    EXPECT_NEAR(Solve(HandInstance(known.energy_j, known.latency_s, 1)).value, known.k1, 1e-9);
    EXPECT_NEAR(Solve(HandInstance(known.energy_j, known.latency_s, 2)).value, known.k2, 1e-9);
  }
  EXPECT_THAT(Solve(HandInstance(9, 1, 2)).experts, ElementsAre(0, 4));
  EXPECT_THAT(Solve(HandInstance(9, 2, 2)).experts, ElementsAre(1, 3));
  EXPECT_THAT(Solve(HandInstance(1, 2, 2)).experts, IsEmpty());
}

TEST(ClassPlannerTest, EqualsEnumerationOnFiveHundredRandomInstances) {
  size_t infeasible = 0, largest = 0;
  for (uint64_t seed = 0; seed < 500; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    const SetInstance instance = RandomInstance(seed);
    largest = std::max(largest, instance.request.costs.size());
    const double best = BestByEnumeration(instance);
    const FakeClock clock;
    const auto plan = PlanClass(instance.coverage(), instance.request, kExact, clock);
    if (best < 0) {
      ++infeasible;
      EXPECT_THAT(plan, StatusIs(absl::StatusCode::kFailedPrecondition));
      continue;
    }
    ASSERT_THAT(plan, IsOk());
    EXPECT_NEAR(plan->value, best, 1e-9);
    EXPECT_NEAR(SetValue(instance, plan->experts), plan->value, 1e-9);
    EXPECT_TRUE(Admissible(instance, plan->experts));
    EXPECT_EQ(plan->end, SearchEnd::kProven);
    EXPECT_EQ(plan->gap(), 0);
  }
  EXPECT_EQ(largest, 12u);
  EXPECT_LT(infeasible, 100u);
}

TEST(ClassPlannerTest, KeepsEveryLimitToTheLastBit) {
  for (uint64_t seed = 1000; seed < 1200; ++seed) {
    SetInstance instance = RandomInstance(seed);
    instance.request.required.clear();
    const ClassPlan plan = Solve(instance);
    const SetCost cost(instance.request.costs, instance.request.limits);
    const ExpertSet set = ExpertSet::Of(plan.experts);
    EXPECT_LE(cost.EnergyJ(set), instance.request.limits.energy_j);
    EXPECT_LE(cost.LatencyS(set), instance.request.limits.latency_s);
    EXPECT_EQ(cost.EnergyJ(set), plan.energy_j);
  }
}

TEST(ClassPlannerTest, ValueAndCostsNeverFallWhenAnExpertIsAdded) {
  for (uint64_t seed = 2000; seed < 2050; ++seed) {
    const SetInstance instance = RandomInstance(seed);
    const size_t experts = instance.request.costs.size();
    const SetCost cost(instance.request.costs, instance.request.limits);
    CounterRandom random(seed, 1);
    const uint64_t mask = random.Below(uint64_t{1} << experts);
    const ExpertSet set = ExpertSet::Of(MembersOf(mask));
    for (size_t i = 0; i < experts; ++i) {
      EXPECT_LE(SetValue(instance, MembersOf(mask)),
                SetValue(instance, MembersOf(mask | uint64_t{1} << i)) + 1e-12);
      EXPECT_LE(cost.EnergyJ(set), cost.EnergyJ(set.With(i)));
      EXPECT_LE(cost.LatencyS(set), cost.LatencyS(set.With(i)));
    }
  }
}

TEST(ClassPlannerTest, LooserLimitsNeverLowerTheOptimum) {
  for (uint64_t seed = 3000; seed < 3060; ++seed) {
    SetInstance instance = RandomInstance(seed);
    instance.request.required.clear();
    double before = Solve(instance).value;
    for (int step = 0; step < 4; ++step) {
      (step % 2 == 0 ? instance.request.limits.energy_j : instance.request.limits.latency_s) *= 1.3;
      const double after = Solve(instance).value;
      EXPECT_GE(after, before - 1e-12);
      before = after;
    }
  }
}

TEST(ClassPlannerTest, AStoppedSearchStillBoundsTheOptimum) {
  for (uint64_t seed = 4000; seed < 4100; ++seed) {
    SetInstance instance = RandomInstance(seed);
    instance.request.required.clear();
    const ClassPlan plan = Solve(instance, {.nodes = 1, .time = absl::InfiniteDuration()});
    const double best = BestByEnumeration(instance);
    EXPECT_LE(plan.value, best + 1e-9);
    EXPECT_GE(plan.bound, best - 1e-9);
    EXPECT_TRUE(Admissible(instance, plan.experts));
  }
}

TEST(ClassPlannerTest, EndsByTheClockItIsGiven) {
  // A deadline that has passed before the first node.
  const FakeClock clock;
  SetInstance instance = HandInstance(9, 2, 2);
  const auto plan =
      PlanClass(instance.coverage(), instance.request, {.time = absl::ZeroDuration()}, clock);
  ASSERT_THAT(plan, IsOk());
  EXPECT_THAT(plan->end, ::testing::AnyOf(SearchEnd::kTimeLimit, SearchEnd::kProven));
  EXPECT_GE(plan->bound, 1.125 - 1e-9);
  EXPECT_EQ(plan->nodes, 0u);
}

TEST(ClassPlannerTest, TheSameRequestHasTheSamePlanToTheLastBit) {
  SetInstance instance = RandomInstance(77);
  instance.request.required.clear();
  const ClassPlan a = Solve(instance), b = Solve(instance);
  EXPECT_EQ(a.experts, b.experts);
  EXPECT_EQ(a.value, b.value);
  EXPECT_EQ(a.nodes, b.nodes);
}

TEST(ClassPlannerTest, AWarmStartChangesNoOptimum) {
  for (uint64_t seed = 5000; seed < 5040; ++seed) {
    SetInstance instance = RandomInstance(seed);
    instance.request.required.clear();
    const double value = Solve(instance).value;
    instance.request.warm_start = {0, 1};
    EXPECT_NEAR(Solve(instance).value, value, 1e-9);
  }
}

TEST(ClassPlannerTest, SaysWhichLimitBindsAndWhatLooseningItBuys) {
  const FakeClock clock;
  SetInstance instance = HandInstance(9, 1, 1);
  ClassPlan plan = Solve(instance);
  auto advice = AdvisePlan(instance.coverage(), instance.request, plan, kExact, clock);
  ASSERT_THAT(advice, IsOk());
  // With 9 J and 1 s {0, 4} is best; 2 J more add expert 2 (.6875), and 1.2 s let expert 3 in
  // (.775).
  EXPECT_EQ(advice->binding, BindingLimit::kEither);
  ASSERT_TRUE(advice->next_joule.has_value());
  EXPECT_NEAR(advice->next_joule->limit, 11, 0.1);
  EXPECT_NEAR(advice->next_joule->gain, 0.05, 1e-9);
  ASSERT_TRUE(advice->next_second.has_value());
  EXPECT_NEAR(advice->next_second->limit, 1.2, 0.01);
  EXPECT_NEAR(advice->next_second->gain, 0.1375, 1e-9);

  instance = HandInstance(100, 100, 1);
  plan = Solve(instance);
  advice = AdvisePlan(instance.coverage(), instance.request, plan, kExact, clock);
  ASSERT_THAT(advice, IsOk());
  EXPECT_EQ(advice->binding, BindingLimit::kNone);
  EXPECT_FALSE(advice->next_joule.has_value());
  EXPECT_FALSE(advice->next_second.has_value());

  // Expert 3 alone: it takes both more joules and more time.
  instance = HandInstance(5.5, 1, 1);
  instance.request.forbidden = {0, 1, 2, 4};
  plan = Solve(instance);
  advice = AdvisePlan(instance.coverage(), instance.request, plan, kExact, clock);
  ASSERT_THAT(advice, IsOk());
  EXPECT_EQ(advice->binding, BindingLimit::kBoth);
}

TEST(ClassPlannerTest, TheFrontierRisesInJoulesAndInValue) {
  const FakeClock clock;
  const SetInstance instance = HandInstance(9, 2, 2);
  const auto frontier = EnergyFrontier(instance.coverage(), instance.request, 30, kExact, clock);
  ASSERT_THAT(frontier, IsOk());
  ASSERT_GE(frontier->size(), 4u);
  for (size_t i = 0; i < frontier->size(); ++i) {
    const FrontierPoint& point = (*frontier)[i];
    EXPECT_LE(point.plan.energy_j, point.limit);
    if (i > 0) {
      EXPECT_GT(point.plan.value, (*frontier)[i - 1].plan.value);
    }
  }
  EXPECT_NEAR(frontier->back().plan.value, 1.5625, 1e-9);
}

TEST(ClassPlannerTest, NamesWhatIsWrongWithARequest) {
  const FakeClock clock;
  SetInstance instance = HandInstance(9, 2, 2);
  instance.request.required = {3};
  instance.request.limits.energy_j = 5;
  EXPECT_THAT(PlanClass(instance.coverage(), instance.request, kExact, clock),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("required experts alone")));
  instance.request.forbidden = {3};
  EXPECT_THAT(PlanClass(instance.coverage(), instance.request, kExact, clock),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("required and forbidden")));
  instance = HandInstance(9, 2, 0);
  EXPECT_THAT(PlanClass(instance.coverage(), instance.request, kExact, clock),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("k is 0")));
  instance = HandInstance(9, 2, 1);
  instance.values[3] = std::nan("");
  EXPECT_THAT(PlanClass(instance.coverage(), instance.request, kExact, clock),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("value of expert 0")));
  instance = HandInstance(9, 2, 1);
  instance.request.costs[2].energy_j = -1;
  EXPECT_THAT(PlanClass(instance.coverage(), instance.request, kExact, clock),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("costs[2].energy_j")));
}

TEST(ResponsibilityTest, OptimalWeightsOfASubsetAreTheFullOnesRenormalised) {
  const std::vector<double> shares = {.5, .3, .2};
  const std::vector<size_t> set = {0, 2};
  EXPECT_THAT(RestrictWeights(shares, set),
              ElementsAre(DoubleNear(.714286, 1e-6), 0, DoubleNear(.285714, 1e-6)));
}

TEST(ResponsibilityTest, TheBestShareARowEquallyAndNobodyIsResponsibleForNothing) {
  // Three experts, two requests.
  const std::vector<double> quality = {1, 0, 1, 0, .5, 0};
  EXPECT_THAT(ResponsibilityShares(quality, 3, 2), ElementsAre(.5, 0, .5, 0, 0, 0));
}

TEST(ResponsibilityTest, AMixtureLikelihoodIsNotPreservedBySubsets) {
  // Experts f = (.9, .5, .1), truth .6: g = (.25, .75, 0) is an optimum of all three, but
  // restricted to the first and last it is worse than their own optimum.
  const auto loss = [](double g0, double g1, double g2) {
    const double p = .9 * g0 + .5 * g1 + .1 * g2;
    return -.6 * std::log(p) - .4 * std::log(1 - p);
  };
  EXPECT_NEAR(loss(.25, .75, 0), .673012, 1e-6);
  const std::vector<size_t> set = {0, 2};
  const std::vector<double> restricted = RestrictWeights(std::vector<double>{.25, .75, 0}, set);
  EXPECT_NEAR(loss(restricted[0], restricted[1], restricted[2]), .984250, 1e-6);
  EXPECT_NEAR(loss(.625, 0, .375), .673012, 1e-6);
}

}  // namespace
}  // namespace penstock::router
