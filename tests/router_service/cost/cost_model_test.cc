#include "router_service/cost/cost_model.h"

#include <cmath>
#include <thread>

#include "common/random.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

// Log-normal with this sigma, mean factor about 1.
double Noise(CounterRandom& random, double sigma) {
  const double u = 1 - random.Uniform();
  return std::exp(sigma * std::sqrt(-2 * std::log(u)) * std::cos(2 * M_PI * random.Uniform()));
}

CostOutcome Attempt(const CostModel& model, size_t expert, uint64_t rows, ReplicaLoad load = {}) {
  CostOutcome outcome;
  outcome.expert = expert;
  outcome.rows = rows;
  outcome.load = load;
  outcome.predicted = model.Estimate(expert, 0, rows, load);
  return outcome;
}

TEST(CostModelTest, PredictsFromTheStartValues) {
  const CostModel model({}, {{0.010, 0.001, 0.5, 0.25}});
  const CostEstimate estimate = model.Estimate(0, 0, 8, {2, 1});
  EXPECT_DOUBLE_EQ(estimate.idle_latency_s, 0.018);
  EXPECT_DOUBLE_EQ(estimate.expected_latency_s, 0.018 + 3 * 0.011);
  EXPECT_DOUBLE_EQ(estimate.latency_s, estimate.expected_latency_s);
  EXPECT_DOUBLE_EQ(estimate.energy_j, 2.5);
}

TEST(CostModelTest, WithLearningOffNothingChanges) {
  CostModel model({.learning = false}, {{0.010, 0.001, 0.5, 0.25}});
  const CostEstimate before = model.Estimate(0, 0, 8, {2, 1});
  for (int i = 0; i < 100; ++i) {
    CostOutcome outcome = Attempt(model, 0, 8);
    outcome.latency_s = 5;
    outcome.energy_j = 100;
    model.Observe(outcome);
    model.ObserveLate(0, 0);
  }
  const CostEstimate after = model.Estimate(0, 0, 8, {2, 1});
  EXPECT_EQ(before.latency_s, after.latency_s);
  EXPECT_EQ(before.energy_j, after.energy_j);
}

// Share of requests that were answered within what was promised.
double Coverage(double promise, double sigma, bool late_counted) {
  CostModel model({.promise = promise}, {{0.010, 0.001, 0, 0}, {0.050, 0.002, 0, 0}});
  int covered = 0;
  constexpr int kWarmUp = 300;
  constexpr int kRequests = 6000;
  for (uint64_t i = 0; i < kWarmUp + kRequests; ++i) {
    CounterRandom random(5, i);
    const size_t expert = random.Below(2);
    const ReplicaLoad load{static_cast<double>(random.Below(4)), 0};
    CostOutcome outcome = Attempt(model, expert, 1 + random.Below(16), load);
    const double base = expert == 0 ? 0.02 : 0.04;
    outcome.latency_s =
        (base + 0.001 * static_cast<double>(outcome.rows) + 0.5 * base * load.queue_depth) *
        Noise(random, sigma);
    const bool late = *outcome.latency_s > outcome.predicted.latency_s;
    if (late && late_counted) {
      model.ObserveLate(expert, 0);
      outcome.late_counted = true;
    }
    model.Observe(outcome);
    if (i >= kWarmUp && !late) ++covered;
  }
  return static_cast<double>(covered) / kRequests;
}

TEST(CostModelTest, ThePromisedQuantileIsKeptWithinOneAndAHalfPoints) {
  EXPECT_NEAR(Coverage(0.95, 0.1, false), 0.95, 0.015);
  EXPECT_NEAR(Coverage(0.95, 0.6, false), 0.95, 0.015);
  EXPECT_NEAR(Coverage(0.8, 0.4, false), 0.8, 0.015);
}

TEST(CostModelTest, AMissMayBeCountedWhenThePromiseElapses) {
  // Then the answer adds nothing to the margin, nor does an answer in time take the miss back.
  CostModel model({}, {{0.01, 0, 0, 0}});
  model.ObserveLate(0, 0);
  const double after_late = model.Estimate(0, 0, 1, {}).latency_s;
  EXPECT_NEAR(after_late, 0.01 * std::exp(0.3 * 0.95), 1e-12);
  CostOutcome outcome = Attempt(model, 0, 1);
  outcome.latency_s = 0.01;
  outcome.late_counted = true;
  model.Observe(outcome);
  EXPECT_NEAR(model.Estimate(0, 0, 1, {}).latency_s, after_late, 1e-6);
}

TEST(CostModelTest, TheNinetyNinthPercentileIsAboveThePromise) {
  CostModel model({}, {{0.01, 0, 0, 0}});
  for (uint64_t i = 0; i < 2000; ++i) {
    CounterRandom random(6, i);
    CostOutcome outcome = Attempt(model, 0, 1);
    outcome.latency_s = 0.01 * Noise(random, 0.5);
    model.Observe(outcome);
  }
  const CostEstimate estimate = model.Estimate(0, 0, 1, {});
  // exp(1.645 / 2) and exp(2.326 / 2) over the mean exp(1/8).
  EXPECT_NEAR(estimate.latency_s / estimate.expected_latency_s, 2.28 / 1.133, 0.35);
  EXPECT_NEAR(estimate.p99_latency_s / estimate.expected_latency_s, 3.2 / 1.133, 0.9);
  EXPECT_GT(estimate.p99_latency_s, estimate.latency_s);
}

TEST(CostModelTest, APromiseOfTheNinetyNinthPercentileAndItsEstimateAreOne) {
  for (const double promise : {0.99, 0.995}) {
    CostModel model({.promise = promise}, {{0.01, 0, 0, 0}});
    for (uint64_t i = 0; i < 500; ++i) {
      CounterRandom random(6, i);
      CostOutcome outcome = Attempt(model, 0, 1);
      outcome.latency_s = 0.01 * Noise(random, 0.5);
      // Misses that are counted while an answer is out move the promise's margin alone.
      if (*outcome.latency_s > outcome.predicted.latency_s) {
        outcome.late_counted = model.ObserveLate(0, 0, 1, outcome.predicted.margin);
      }
      model.Observe(outcome);
      const CostEstimate estimate = model.Estimate(0, 0, 1, {});
      ASSERT_EQ(estimate.p99_latency_s, estimate.latency_s) << i;
    }
  }
}

TEST(CostModelTest, AnExpertWithFewObservationsLeansOnThePool) {
  CostModel model({}, {{0.01, 0, 0, 0}, {0.01, 0, 0, 0}});
  for (int i = 0; i < 50; ++i) model.ObserveLate(0, 0);
  EXPECT_GT(model.Estimate(1, 0, 1, {}).latency_s, 0.02);
}

TEST(CostModelTest, ClassesHaveMarginsOfTheirOwn) {
  CostModel model({.classes = 2}, {{0.01, 0, 0, 0}});
  for (int i = 0; i < 40; ++i) {
    CostOutcome outcome = Attempt(model, 0, 1);
    outcome.application_class = 1;
    outcome.latency_s = 0.005;
    model.Observe(outcome);
  }
  for (int i = 0; i < 40; ++i) model.ObserveLate(0, 0);
  EXPECT_GT(model.Estimate(0, 0, 1, {}).latency_s, 3 * model.Estimate(0, 1, 1, {}).latency_s);
}

TEST(CostModelTest, JoulesAreWithinTenPercentAfterAHundredRequests) {
  CostModel model({}, {{0, 0, 1, 1}});
  for (uint64_t i = 0; i < 100; ++i) {
    CounterRandom random(8, i);
    CostOutcome outcome = Attempt(model, 0, 1 + random.Below(32));
    outcome.energy_j = (6 + 0.4 * static_cast<double>(outcome.rows)) * Noise(random, 0.2);
    model.Observe(outcome);
  }
  for (const uint64_t rows : {1, 8, 32}) {
    const double truth = (6 + 0.4 * static_cast<double>(rows)) * std::exp(0.02);
    EXPECT_NEAR(model.Estimate(0, 0, rows, {}).energy_j / truth, 1, 0.1) << rows;
  }
}

TEST(CostModelTest, ALostAttemptTeachesNothing) {
  CostModel model({}, {{0.01, 0, 1, 0}});
  model.Observe(Attempt(model, 0, 1));
  EXPECT_EQ(model.Estimate(0, 0, 1, {}).latency_s, 0.01);
  EXPECT_EQ(model.Estimate(0, 0, 1, {}).energy_j, 1);
}

TEST(CostModelTest, ADescriptionRestartsTheModel) {
  CostModel model({}, {{}});
  EXPECT_EQ(model.Estimate(0, 0, 4, {}).energy_j, 0);
  model.SetStart(0, {0.01, 0.002, 1, 0.5});
  EXPECT_DOUBLE_EQ(model.Estimate(0, 0, 4, {}).latency_s, 0.018);
  EXPECT_DOUBLE_EQ(model.Estimate(0, 0, 4, {}).energy_j, 3);
}

TEST(CostModelTest, ReadersSeeWholeUpdates) {
  // Both joule terms always sum to 1 for one row, whatever update a reader meets.
  CostModel model({}, {{0, 0, 0.5, 0.5}});
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (int i = 0; i < 2000; ++i) {
      const double share = (i % 10) / 10.0;
      model.SetStart(0, {0, 0, share, 1 - share});
    }
    stop = true;
  });
  while (!stop) EXPECT_NEAR(model.Estimate(0, 0, 1, {}).energy_j, 1, 1e-12);
  writer.join();
}

}  // namespace
}  // namespace penstock::router
