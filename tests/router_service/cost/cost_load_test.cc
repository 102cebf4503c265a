#include <cmath>
#include <deque>

#include "common/random.h"
#include "gtest/gtest.h"
#include "router_service/cost/cost_model.h"

namespace penstock::router {
namespace {

ReplicaLoad InFlight(double requests) { return {.in_flight = requests}; }

// Log-normal, of median 1.
double Noise(CounterRandom& random, double sigma) {
  const double u = 1 - random.Uniform();
  return std::exp(sigma * std::sqrt(-2 * std::log(u)) * std::cos(2 * M_PI * random.Uniform()));
}

CostOutcome Attempt(const CostModel& model, size_t expert, ReplicaLoad load, double work = 1) {
  CostOutcome outcome;
  outcome.expert = expert;
  outcome.load = load;
  outcome.work = work;
  outcome.predicted = model.Estimate(expert, 0, 1, load, work);
  return outcome;
}

// A replica of 8 slots whose steps take longer the more requests share them.
double PlantedSeconds(double in_flight, double work) {
  const double at_once = std::min(8.0, in_flight + 1);
  const double row = at_once < 2 ? 0.5 : at_once < 4 ? 0.6 : at_once < 8 ? 0.8 : 1.2;
  return 0.2 + row * work + 0.15 * std::max(0.0, in_flight - 7);
}

TEST(CostLoadTest, RecoversThePlantedTermsAtEveryLevelOfLoad) {
  CostModel model({}, {{.seconds_per_row = 1, .slots = 8}});
  for (uint64_t i = 0; i < 6000; ++i) {
    CounterRandom random(4, i);
    const double in_flight = static_cast<double>(random.Below(24));
    const double work = 0.2 + 2 * random.Uniform();
    CostOutcome outcome = Attempt(model, 0, InFlight(in_flight), work);
    outcome.latency_s = PlantedSeconds(in_flight, work) * (0.95 + 0.1 * random.Uniform());
    model.Observe(outcome);
  }
  for (const double in_flight : {0, 1, 2, 3, 6, 7, 10, 20}) {
    for (const double work : {0.5, 1.0, 2.0}) {
      const double expected = PlantedSeconds(in_flight, work);
      EXPECT_NEAR(model.Estimate(0, 0, 1, InFlight(in_flight), work).expected_latency_s / expected,
                  1, 0.05)
          << in_flight << " in flight, work " << work;
    }
  }
  EXPECT_NEAR(model.Estimate(0, 0, 1, InFlight(20), 1).idle_latency_s /
                  model.Estimate(0, 0, 1, InFlight(0), 1).latency_s,
              1, 1e-9);
}

TEST(CostLoadTest, OnlyRequestsBeyondTheSlotsAreWaitedFor) {
  const CostModel model({}, {{.seconds_per_request = 0.2, .seconds_per_row = 0.6, .slots = 4}});
  EXPECT_DOUBLE_EQ(model.Estimate(0, 0, 1, InFlight(3)).expected_latency_s, 0.8);
  EXPECT_DOUBLE_EQ(model.Estimate(0, 0, 1, InFlight(5)).expected_latency_s, 0.8 + 2 * 0.2);
  // Who waits says that the slots are taken.
  EXPECT_DOUBLE_EQ(model.Estimate(0, 0, 1, {.queue_depth = 2}).expected_latency_s, 0.8 + 2 * 0.2);
}

TEST(CostLoadTest, WhatAFullReplicaTeachesStandsInForAnIdleOneUntilThatIsSeen) {
  CostModel model({}, {{.seconds_per_row = 1, .slots = 8}});
  const auto learn = [&](double in_flight, double seconds) {
    for (int i = 0; i < 300; ++i) {
      CostOutcome outcome = Attempt(model, 0, InFlight(in_flight));
      outcome.latency_s = seconds;
      model.Observe(outcome);
    }
  };
  learn(7, 4);
  EXPECT_NEAR(model.Estimate(0, 0, 1, InFlight(0)).expected_latency_s, 4, 0.05);
  learn(0, 2);
  EXPECT_NEAR(model.Estimate(0, 0, 1, InFlight(0)).expected_latency_s, 2, 0.05);
  EXPECT_NEAR(model.Estimate(0, 0, 1, InFlight(7)).expected_latency_s, 4, 0.05);
  // 4-7 at once was not seen: of the two as near, the busier.
  EXPECT_NEAR(model.Estimate(0, 0, 1, InFlight(5)).expected_latency_s, 2, 0.05);
}

TEST(CostLoadTest, ADescriptionForgetsEveryLevelOfLoad) {
  CostModel model({}, {{.seconds_per_row = 1, .slots = 8}});
  for (const double in_flight : {0, 2, 7}) {
    CostOutcome outcome = Attempt(model, 0, InFlight(in_flight));
    outcome.latency_s = 9;
    model.Observe(outcome);
  }
  model.SetStart(0, {.seconds_per_row = 3});
  for (const double in_flight : {0, 2, 7}) {
    EXPECT_DOUBLE_EQ(model.Estimate(0, 0, 1, InFlight(in_flight)).expected_latency_s, 3);
  }
}

TEST(CostLoadTest, RequestsThatAreLateTogetherMoveTheMarginOnlySoFar) {
  CostModel model({}, {{.seconds_per_row = 1}});
  const CostEstimate before = model.Estimate(0, 0, 1, {});
  int counted = 0;
  for (int i = 0; i < 50; ++i) counted += model.ObserveLate(0, 0, 1, before.margin) ? 1 : 0;
  // The first takes it to 0.285, the second past 0.3.
  EXPECT_EQ(counted, 2);
  const CostEstimate after = model.Estimate(0, 0, 1, {});
  EXPECT_NEAR(after.margin, 0.3 * 0.95 * (1 + 1 / std::sqrt(2)), 1e-12);
  EXPECT_NEAR(after.latency_s, std::exp(after.margin), 1e-12);
  EXPECT_TRUE(model.ObserveLate(0, 0, 1, after.margin));
}

TEST(CostLoadTest, PromisesAreKeptThoughManyAnswersAreOut) {
  // Half of the answers take twice as long as the others, and each comes after 20 later requests.
  CostModel model({}, {{.seconds_per_row = 0.75}});
  std::deque<CostOutcome> out;
  int kept = 0;
  for (uint64_t i = 0; i < 12'000; ++i) {
    CounterRandom random(12, i);
    CostOutcome outcome = Attempt(model, 0, {});
    outcome.latency_s = random.Below(2) == 0 ? 0.5 : 1;
    if (i >= 2000) kept += *outcome.latency_s <= outcome.predicted.latency_s ? 1 : 0;
    out.push_back(outcome);
    if (out.size() <= 20) continue;
    model.Observe(out.front());
    out.pop_front();
  }
  EXPECT_NEAR(kept / 1e4, 0.95, 0.015);
}

TEST(CostLoadTest, AMarginThatHasMovedFarJudgesAnAnswerAsItIs) {
  // Sent under a margin of 0 and out for long; a margin that has grown since covers it.
  CostModel model({}, {{.seconds_per_row = 1}});
  CostOutcome outcome = Attempt(model, 0, {});
  for (int i = 0; i < 40; ++i) model.ObserveLate(0, 0);
  const double before = model.Estimate(0, 0, 1, {}).margin;
  ASSERT_GT(before, std::log(1.5));
  outcome.latency_s = 1.5;
  model.Observe(outcome);
  EXPECT_LT(model.Estimate(0, 0, 1, {}).margin, before);
}

TEST(CostLoadTest, TheMarginOfAnExpertThatIsNotAskedGivesWayToThePools) {
  CostModel model({}, {{.seconds_per_row = 1}, {.seconds_per_row = 1}});
  for (int i = 0; i < 40; ++i) model.ObserveLate(0, 0);
  const double wide = model.Estimate(0, 0, 1, {}).margin;
  ASSERT_GT(wide, 1);
  const auto ask_the_other = [&](uint64_t from, uint64_t to) {
    for (uint64_t i = from; i < to; ++i) {
      CounterRandom random(9, i);
      CostOutcome outcome = Attempt(model, 1, {});
      outcome.latency_s = Noise(random, 0.1);
      model.Observe(outcome);
    }
  };
  ask_the_other(0, 4900);
  EXPECT_EQ(model.Estimate(0, 0, 1, {}).margin, wide);
  ask_the_other(4900, 40'000);
  EXPECT_NEAR(model.Estimate(0, 0, 1, {}).margin, model.Estimate(1, 0, 1, {}).margin, 0.05);
  // Once it is asked, what was learnt of it counts again.
  CostOutcome outcome = Attempt(model, 0, {});
  outcome.latency_s = 1;
  model.Observe(outcome);
  EXPECT_NEAR(model.Estimate(0, 0, 1, {}).margin, wide, 0.05);
}

TEST(CostLoadTest, LongAndShortAnswersKeepTheirPromisesEach) {
  // What is expected to be long is far harder to tell.
  CostModel model({}, {{.seconds_per_row = 1}});
  int asked[2] = {};
  int kept[2] = {};
  for (uint64_t i = 0; i < 12'000; ++i) {
    CounterRandom random(10, i);
    const bool is_long = random.Below(4) == 0;
    CostOutcome outcome = Attempt(model, 0, {}, is_long ? 2 : 0.5);
    outcome.latency_s = outcome.work * Noise(random, is_long ? 0.8 : 0.1);
    model.Observe(outcome);
    if (i < 1000) continue;
    ++asked[is_long];
    kept[is_long] += *outcome.latency_s <= outcome.predicted.latency_s ? 1 : 0;
  }
  EXPECT_NEAR(static_cast<double>(kept[0]) / asked[0], 0.95, 0.015);
  EXPECT_NEAR(static_cast<double>(kept[1]) / asked[1], 0.95, 0.015);
  EXPECT_GT(model.Estimate(0, 0, 1, {}, 2).margin, model.Estimate(0, 0, 1, {}, 0.5).margin + 0.5);
}

}  // namespace
}  // namespace penstock::router
