#include "router_service/planning/live/pool_planner.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "common/config/yaml_config.h"
#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "router_service/planning/resident_problem.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// `cheap` is right half of the time for 1 J in 10 ms, `dear` always for 10 J in 100 ms, `odd` as
// `cheap` where that is wrong.
constexpr char kPool[] = R"(
name: pool
experts: [{name: cheap}, {name: dear}, {name: odd}]
classes:
  chat: {plan_energy_j: 5}
  fast: {plan_latency_ms: 50}
  bulk: {}
planning: {}
)";

config::v1::Pool PoolOf(const std::string& yaml) {
  config::v1::Pool pool;
  EXPECT_THAT(ReadYaml(yaml, pool), IsOk());
  return pool;
}

class PoolPlannerTest : public ::testing::Test {
 protected:
  void Make(const std::string& yaml) {
    auto options = PoolPlanner::ReadOptions(PoolOf(yaml));
    ASSERT_THAT(options, IsOk());
    options->search.time = absl::InfiniteDuration();
    planner_.emplace(*std::move(options), clock_);
  }
  // One request a tenth of a second.
  void Send(size_t requests, size_t application_class, double dear_joules = 10) {
    for (size_t r = 0; r < requests; ++r) {
      clock_.Advance(absl::Milliseconds(100));
      const double even = r % 2 == 0 ? 1 : 0;
      planner_->Record(application_class, {even, 1, 1 - even}, {1, dear_joules, 1},
                       {0.01, 0.1, 0.01});
    }
  }
  PlanningView View() const { return {available_, 1}; }

  FakeClock clock_;
  std::optional<PoolPlanner> planner_;
  std::vector<uint8_t> available_ = {1, 1, 1};
};

// Classes by name: bulk 1, chat 2, fast 3.
TEST_F(PoolPlannerTest, AdmitsToAClassWhatItsLimitsAllowAndEverybodyElsewhere) {
  Make(kPool);
  Send(100, 2);
  Send(100, 3);
  Send(100, 1);
  const auto plan = planner_->Tick(View());
  ASSERT_NE(plan, nullptr);
  EXPECT_EQ(plan->reason, ReplanReason::kFirst);
  ASSERT_EQ(plan->classes.size(), 4);
  EXPECT_THAT(plan->classes[0].admitted, ElementsAre(1, 1, 1));
  EXPECT_THAT(plan->classes[1].admitted, ElementsAre(1, 1, 1));
  EXPECT_THAT(plan->classes[2].admitted, ElementsAre(1, 0, 1));
  EXPECT_TRUE(plan->classes[2].planned);
  EXPECT_DOUBLE_EQ(plan->classes[2].value, 1);
  EXPECT_DOUBLE_EQ(plan->classes[2].energy_j, 1);
  EXPECT_THAT(plan->classes[3].admitted, ElementsAre(1, 0, 1));
  EXPECT_THAT(plan->awake, ElementsAre(1, 1, 1));
  EXPECT_EQ(planner_->plan(), plan);
}

TEST_F(PoolPlannerTest, AClassWithTooFewRequestsAdmitsEverybodyAndSaysWhy) {
  Make(kPool);
  Send(100, 1);
  Send(PoolPlanner::kLeastRows - 1, 2);
  const auto plan = planner_->Tick(View());
  ASSERT_NE(plan, nullptr);
  EXPECT_THAT(plan->classes[2].admitted, ElementsAre(1, 1, 1));
  EXPECT_FALSE(plan->classes[2].planned);
  EXPECT_THAT(plan->classes[2].problem, HasSubstr("63 of the latest requests, wanted 64"));
}

TEST_F(PoolPlannerTest, PlansNothingFromTooFewRequests) {
  Make(kPool);
  Send(PoolPlanner::kLeastRows - 1, 2);
  EXPECT_EQ(planner_->Tick(View()), nullptr);
  EXPECT_EQ(planner_->plan(), nullptr);
  Send(1, 2);
  EXPECT_NE(planner_->Tick(View()), nullptr);
}

TEST_F(PoolPlannerTest, PlansAgainWhenAnExpertLeavesCostsDriftOrThePeriodIsOver) {
  Make(kPool);
  Send(200, 2);
  ASSERT_NE(planner_->Tick(View()), nullptr);
  EXPECT_EQ(planner_->Tick(View()), nullptr);

  available_[0] = 0;
  auto plan = planner_->Tick(View());
  ASSERT_NE(plan, nullptr);
  EXPECT_EQ(plan->reason, ReplanReason::kExperts);
  EXPECT_EQ(plan->version, 2);

  Send(150, 2, /*dear_joules=*/20);
  plan = planner_->Tick(View());
  ASSERT_NE(plan, nullptr);
  EXPECT_EQ(plan->reason, ReplanReason::kDrift);

  clock_.Advance(absl::Seconds(61));
  plan = planner_->Tick(View());
  ASSERT_NE(plan, nullptr);
  EXPECT_EQ(plan->reason, ReplanReason::kPeriod);

  const auto swapped = planner_->Tick({available_, 2});
  ASSERT_NE(swapped, nullptr);
  EXPECT_EQ(swapped->reason, ReplanReason::kGate);
}

TEST_F(PoolPlannerTest, FiguresThatAreNoneAreNoSample) {
  Make(kPool);
  for (size_t r = 0; r < 100; ++r) {
    planner_->Record(2, {0.5, std::numeric_limits<double>::quiet_NaN(), 0.5}, {1, 1, 1}, {1, 1, 1});
    planner_->Record(2, {0.5, 0.5, 0.5}, {1, -1, 1}, {1, 1, 1});
    planner_->Record(2, {0.5, 0.5, 0.5}, {1, 1, 1},
                     {1, 1, std::numeric_limits<double>::infinity()});
  }
  EXPECT_EQ(planner_->Tick(View()), nullptr);
}

TEST_F(PoolPlannerTest, WhatIsRequiredIsAdmittedAndWhatIsForbiddenIsNot) {
  Make(R"(
name: pool
experts: [{name: cheap}, {name: dear}, {name: odd}]
classes: {chat: {forbidden: [odd]}, fast: {plan_energy_j: 12}}
planning: {required: [dear]}
)");
  Send(100, 2);
  const auto plan = planner_->Tick(View());
  ASSERT_NE(plan, nullptr);
  EXPECT_THAT(plan->classes[1].admitted, ElementsAre(1, 1, 0));
  EXPECT_EQ(plan->classes[2].admitted[1], 1);
}

TEST_F(PoolPlannerTest, ALimitThatTheRequiredExpertBreaksAdmitsEverybodyAndSaysSo) {
  Make(R"(
name: pool
experts: [{name: cheap}, {name: dear}, {name: odd}]
classes: {chat: {plan_energy_j: 5}}
planning: {required: [dear]}
)");
  Send(100, 1);
  const auto plan = planner_->Tick(View());
  ASSERT_NE(plan, nullptr);
  EXPECT_THAT(plan->classes[1].admitted, ElementsAre(1, 1, 1));
  EXPECT_FALSE(plan->classes[1].problem.empty());
}

constexpr char kWatts[] = R"(
name: pool
experts: [{name: cheap}, {name: dear}, {name: odd}]
planning:
  watts: 130
  idle_watts: {cheap: 10, dear: 100, odd: 10}
  wake_joules: {cheap: 5, dear: 500, odd: 5}
)";

// 10 requests/s of 10 J with `dear` alone take 200 W, of 1 J with the other two 30 W.
TEST_F(PoolPlannerTest, PutsToSleepWhoIsNotWorthItsIdleWatts) {
  Make(kWatts);
  Send(200, 0);
  const auto plan = planner_->Tick(View());
  ASSERT_NE(plan, nullptr);
  EXPECT_THAT(plan->awake, ElementsAre(1, 0, 1));
  EXPECT_EQ(plan->classes[0].admitted, plan->awake);
  EXPECT_FALSE(plan->verdict.empty());
}

TEST_F(PoolPlannerTest, NobodyWhoIsAwakeDrawsMoreThanTheLimitIdle) {
  CounterRandom random(7, 0);
  int limited = 0;
  for (int round = 0; round < 30; ++round) {
    PoolPlanner::Options options;
    const size_t experts = 2 + random.Below(5);
    for (size_t i = 0; i < experts; ++i) {
      options.experts.push_back(std::string(1, static_cast<char>('a' + i)));
      options.idle_watts.push_back(10 + 90 * random.Uniform());
      options.wake_joules.push_back(100 * random.Uniform());
    }
    options.classes.emplace_back();
    options.watts = 60 + 100 * random.Uniform();
    options.search.time = absl::InfiniteDuration();
    PoolPlanner planner(options, clock_);
    std::vector<double> score(experts), joules(experts), latency(experts, 0.1);
    ResidentRequest request;
    request.experts = experts;
    request.rows = 80;
    request.values.resize(experts * 80);
    request.joules.resize(experts * 80);
    for (size_t r = 0; r < 80; ++r) {
      clock_.Advance(absl::Milliseconds(100));
      for (size_t i = 0; i < experts; ++i) {
        // As the sample keeps them.
        score[i] = static_cast<float>(random.Uniform());
        joules[i] = static_cast<float>(0.1 + random.Uniform());
        request.values[i * 80 + r] = score[i];
        request.joules[i * 80 + r] = joules[i];
      }
      planner.Record(0, score, joules, latency);
    }
    const auto plan = planner.Tick({std::vector<uint8_t>(experts, 1), 1});
    ASSERT_NE(plan, nullptr);
    double idle = 0;
    ExpertSet awake;
    for (size_t i = 0; i < experts; ++i) {
      if (!plan->awake[i]) continue;
      idle += options.idle_watts[i];
      awake.Add(i);
    }
    double all_idle = 0, least_idle = 1e9;
    for (const double watts : options.idle_watts) {
      all_idle += watts;
      least_idle = std::min(least_idle, watts);
    }
    if (all_idle <= *options.watts || least_idle > *options.watts) continue;
    ++limited;
    EXPECT_LE(idle, *options.watts);
    // The best set by enumeration is worth no more.
    request.idle_watts = options.idle_watts;
    request.watts = *options.watts;
    request.requests_per_s = 80 / 7.9;
    ResidentProblem problem(request);
    double best = 0;
    for (uint64_t mask = 0; mask < uint64_t{1} << experts; ++mask) {
      ExpertSet set;
      for (size_t i = 0; i < experts; ++i) {
        if ((mask >> i & 1) != 0) set.Add(i);
      }
      if (problem.Feasible(set)) best = std::max(best, problem.Value(set));
    }
    EXPECT_NEAR(problem.Value(awake), best, 1e-6);
  }
  EXPECT_GT(limited, 10);
}

TEST_F(PoolPlannerTest, ChangesBackOnlyAfterTheLeastDwellAndForAGain) {
  Make(kWatts);
  Send(200, 0);
  const auto first = planner_->Tick(View());
  ASSERT_NE(first, nullptr);
  ASSERT_THAT(first->awake, ElementsAre(1, 0, 1));
  // `dear` is all that is right, and cheap enough to serve within 130 W: 100 + 10 * 1.
  for (size_t r = 0; r < 2048; ++r) {
    planner_->Record(0, {0, 1, 0}, {1, 1, 1}, {0.01, 0.1, 0.01});
  }
  clock_.Advance(absl::Seconds(10));
  const auto kept = planner_->Tick(View());
  ASSERT_NE(kept, nullptr);
  EXPECT_THAT(kept->awake, ElementsAre(1, 0, 1));
  EXPECT_THAT(kept->verdict, HasSubstr("staying awake: those before"));
  clock_.Advance(absl::Seconds(61));
  const auto changed = planner_->Tick(View());
  ASSERT_NE(changed, nullptr);
  EXPECT_EQ(changed->awake[1], 1);
}

TEST_F(PoolPlannerTest, RefusesWhatMakesNoSense) {
  const auto refusal = [](const std::string& yaml) {
    return std::string(PoolPlanner::ReadOptions(PoolOf(yaml)).status().message());
  };
  const std::string head = "name: pool\nexperts: [{name: a}, {name: b}]\n";
  EXPECT_THAT(refusal(head + "planning: {}"), HasSubstr("there is nothing to plan for"));
  EXPECT_THAT(refusal(head + "planning: {watts: 0}"), HasSubstr("planning.watts is 0"));
  EXPECT_THAT(refusal(head + "planning: {watts: 9, idle_watts: {c: 1}}"),
              HasSubstr("planning.idle_watts names c"));
  EXPECT_THAT(refusal(head + "planning: {watts: 9, wake_joules: {a: -1}}"),
              HasSubstr("planning.wake_joules.a is -1"));
  EXPECT_THAT(refusal(head + "planning: {watts: 9, sample: 63}"),
              HasSubstr("planning.sample is 63"));
  EXPECT_THAT(refusal(head + "planning: {watts: 9, period: 0s}"),
              HasSubstr("planning.period is 0"));
  EXPECT_THAT(refusal(head + "planning: {required: [a]}\nclasses: {x: {forbidden: [a]}}"),
              HasSubstr("classes.x.forbidden names a, which planning.required names too"));
  EXPECT_THAT(refusal(head + "planning: {}\nclasses: {x: {forbidden: [a, b]}}"),
              HasSubstr("classes.x.forbidden names every expert"));
  EXPECT_THAT(refusal(head + "planning: {}\nclasses: {x: {plan_energy_j: -1}}"),
              HasSubstr("classes.x.plan_energy_j is -1"));
}

}  // namespace
}  // namespace penstock::router
