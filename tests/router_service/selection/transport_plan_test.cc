#include "router_service/selection/transport_plan.h"

#include <cmath>
#include <numeric>
#include <vector>

#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

using ::testing::DoubleNear;
using ::testing::Pointwise;

struct Problem {
  std::vector<double> affinity;
  std::vector<uint32_t> capacity;
  BatchProblem view() const { return {affinity.size() / capacity.size(), affinity, capacity}; }
};

std::vector<double> Plan(const Problem& problem, TransportOptions options) {
  TransportPlan plan(options);
  plan.Solve(problem.view());
  return {plan.plan().begin(), plan.plan().end()};
}

double ColumnSum(const std::vector<double>& plan, size_t experts, size_t column) {
  double sum = 0;
  for (size_t at = column; at < plan.size(); at += experts) sum += plan[at];
  return sum;
}

Problem Draw(uint64_t number, size_t requests, size_t experts, uint32_t most) {
  CounterRandom random(11, number);
  Problem problem;
  for (size_t i = 0; i < requests * experts; ++i) problem.affinity.push_back(random.Uniform());
  for (size_t j = 0; j < experts; ++j) {
    problem.capacity.push_back(1 + static_cast<uint32_t>(random.Below(most)));
  }
  return problem;
}

TEST(TransportPlanTest, KnownPlans) {
  const TransportOptions half{.entropy = 0.5};
  EXPECT_THAT(Plan({{.73, .27, .27, .73}, {1, 1}}, half),
              Pointwise(DoubleNear(5e-5), {.7150, .2850, .2850, .7150}));
  EXPECT_THAT(Plan({{.95, .05, .90, .10}, {1, 1}}, half),
              Pointwise(DoubleNear(5e-5), {.5250, .4750, .4750, .5250}));
}

TEST(TransportPlanTest, UnequalCapacitiesAreTheColumnSums) {
  const std::vector<double> plan =
      Plan({{1, 0, 0, 1, 0, 0, 1, .2, 0, 0, .9, .1}, {2, 1, 1}}, {.entropy = 0.3});
  EXPECT_NEAR(ColumnSum(plan, 3, 0), 2, 2e-3);
  EXPECT_NEAR(ColumnSum(plan, 3, 1), 1, 1e-3);
  EXPECT_NEAR(ColumnSum(plan, 3, 2), 1, 1e-3);
  EXPECT_NEAR(plan[0], .6743, 1e-4);
  EXPECT_NEAR(plan[1], .0622, 1e-4);
  EXPECT_NEAR(plan[2], .2635, 1e-4);
}

TEST(TransportPlanTest, RowsSumToOneAndColumnsToTheirShare) {
  for (uint64_t number = 0; number < 20; ++number) {
    const Problem problem = Draw(number, 40, 5, 9);
    const std::vector<double> plan = Plan(problem, {.entropy = 0.1});
    const double capacity = std::accumulate(problem.capacity.begin(), problem.capacity.end(), 0.0);
    for (size_t i = 0; i < 40; ++i) {
      EXPECT_NEAR(std::accumulate(plan.begin() + 5 * i, plan.begin() + 5 * (i + 1), 0.0), 1, 1e-6);
    }
    for (size_t j = 0; j < 5; ++j) {
      const double share = 40 * problem.capacity[j] / capacity;
      EXPECT_NEAR(ColumnSum(plan, 5, j), share, 1e-3 * std::max(1.0, share)) << number;
    }
  }
}

TEST(TransportPlanTest, ConstantsOfRowsAndColumnsChangeNothing) {
  const Problem problem = Draw(3, 12, 4, 5);
  const TransportOptions options{.entropy = 0.2, .iterations = 1000, .tolerance = 1e-12};
  Problem moved = problem;
  for (size_t i = 0; i < 12; ++i) {
    for (size_t j = 0; j < 4; ++j) {
      moved.affinity[4 * i + j] += 3.0 * static_cast<double>(i) - 0.7 * static_cast<double>(j);
    }
  }
  EXPECT_THAT(Plan(moved, options), Pointwise(DoubleNear(1e-9), Plan(problem, options)));
}

TEST(TransportPlanTest, MuchEntropyLeavesTheShares) {
  const Problem problem = Draw(4, 10, 3, 6);
  const double capacity = std::accumulate(problem.capacity.begin(), problem.capacity.end(), 0.0);
  const std::vector<double> plan = Plan(problem, {.entropy = 1e9});
  for (size_t at = 0; at < plan.size(); ++at) {
    EXPECT_NEAR(plan[at], problem.capacity[at % 3] / capacity, 1e-6);
  }
}

TEST(TransportPlanTest, LittleEntropyStaysFinite) {
  // exp(C / xi) itself is beyond doubles.
  TransportPlan plan({.entropy = 1e-4});
  const Problem problem = Draw(5, 8, 3, 4);
  plan.Solve(problem.view());
  for (size_t i = 0; i < 8; ++i) {
    double sum = 0;
    for (size_t j = 0; j < 3; ++j) sum += plan.plan()[3 * i + j];
    EXPECT_NEAR(sum, 1, 1e-6);
  }
}

TEST(TransportPlanTest, LimitsThatDoNotBindLeaveTheSoftmax) {
  const std::vector<double> plan =
      Plan({{.95, .05, .90, .10}, {9, 9}}, {.entropy = 0.5, .columns = ColumnRule::kLimit});
  EXPECT_THAT(plan, Pointwise(DoubleNear(5e-4), {.858, .142, .832, .168}));
}

TEST(TransportPlanTest, LimitsThatBindAreKept) {
  for (uint64_t number = 0; number < 20; ++number) {
    Problem problem = Draw(number, 24, 4, 3);
    problem.capacity = {4, 6, 30, 8};
    // Everybody prefers the first two.
    for (size_t i = 0; i < 24; ++i) {
      problem.affinity[4 * i] += 1;
      problem.affinity[4 * i + 1] += 1;
    }
    const std::vector<double> plan = Plan(problem, {.entropy = 0.1, .columns = ColumnRule::kLimit});
    EXPECT_NEAR(ColumnSum(plan, 4, 0), 4, 4e-3);
    EXPECT_NEAR(ColumnSum(plan, 4, 1), 6, 6e-3);
    EXPECT_LT(ColumnSum(plan, 4, 2), 30);
    EXPECT_LE(ColumnSum(plan, 4, 3), 8 + 8e-3);
  }
}

TEST(TransportPlanTest, WhatIsInadmissibleGetsNothing) {
  constexpr double kNo = BatchProblem::kInadmissible;
  TransportPlan plan({.entropy = 0.3});
  const Problem problem{{1, kNo, .5, kNo, kNo, kNo, .2, .4, std::nan("")}, {2, 2, 2}};
  plan.Solve(problem.view());
  EXPECT_EQ(plan.plan()[1], 0);
  EXPECT_EQ(plan.plan()[8], 0);
  // The second request counts for no column.
  for (const size_t at : {3, 4, 5}) EXPECT_EQ(plan.plan()[at], 0);
  EXPECT_NEAR(std::accumulate(plan.columns().begin(), plan.columns().end(), 0.0), 2, 1e-12);
  EXPECT_NEAR(plan.plan()[0] + plan.plan()[2], 1, 1e-6);
}

}  // namespace
}  // namespace penstock::router
