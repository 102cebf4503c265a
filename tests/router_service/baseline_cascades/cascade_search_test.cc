#include "router_service/baseline_cascades/cascade_search.h"

#include <algorithm>
#include <vector>

#include "common/random.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

struct Instance {
  size_t experts, rows;
  std::vector<float> quality, cost, score;

  Instance(size_t n, size_t m, uint64_t seed) : experts(n), rows(m) {
    for (size_t e = 0; e < n; ++e) {
      for (size_t row = 0; row < m; ++row) {
        CounterRandom random(seed, e * m + row);
        quality.push_back(random.Uniform() < .3 + .15 * static_cast<double>(e));
        cost.push_back(static_cast<float>((e + 1) * (1 + random.Below(3))));
        // Coarse, so that many scores tie.
        score.push_back(static_cast<float>(random.Below(4) + 2 * (quality.back() > 0)) / 6);
      }
    }
  }
  ScoredOutcomes view() const { return {experts, rows, quality, cost, score}; }
};

struct Means {
  double cost = 0, quality = 0;
};

Means RunAll(const CascadePlan& plan, const ScoredOutcomes& outcomes) {
  Means means;
  for (size_t row = 0; row < outcomes.rows; ++row) {
    const CascadeOutcome outcome = RunCascade(plan, outcomes, row);
    means.cost += outcome.cost / static_cast<double>(outcomes.rows);
    means.quality += outcome.quality / static_cast<double>(outcomes.rows);
  }
  return means;
}

TEST(CascadeSearchTest, WhatItPromisesIsWhatRunningThePlanGives) {
  const Instance instance(4, 120, 1);
  for (const CascadePlan& plan :
       SearchCascades(instance.view(), std::vector<double>{2, 4, 6, 9, 14}, {})) {
    const Means means = RunAll(plan, instance.view());
    EXPECT_NEAR(means.cost, plan.cost, 1e-9);
    EXPECT_NEAR(means.quality, plan.quality, 1e-9);
  }
}

TEST(CascadeSearchTest, MeanCostStaysWithinTheBudget) {
  const Instance instance(4, 120, 2);
  const std::vector<double> budgets = {2.5, 4, 6, 9, 14};
  const std::vector<CascadePlan> plans = SearchCascades(instance.view(), budgets, {});
  for (size_t i = 0; i < budgets.size(); ++i) EXPECT_LE(plans[i].cost, budgets[i]);
}

TEST(CascadeSearchTest, IsAtLeastAsGoodAsEverySingleExpertWithinTheBudget) {
  const Instance instance(4, 120, 3);
  for (size_t e = 0; e < 4; ++e) {
    const Means single = RunAll({.chain = {e}, .accept_from = {}}, instance.view());
    const std::vector<CascadePlan> plan =
        SearchCascades(instance.view(), std::vector<double>{single.cost + 1e-9}, {});
    EXPECT_GE(plan[0].quality, single.quality - 1e-12);
  }
}

TEST(CascadeSearchTest, FindsWhatTryingAllPlansFinds) {
  const Instance instance(3, 24, 4);
  const ScoredOutcomes outcomes = instance.view();
  const std::vector<double> budgets = {1.5, 3, 4.5, 6, 8, 12};
  const std::vector<CascadePlan> plans = SearchCascades(outcomes, budgets, {.depth = 3, .grid = 4});
  // Every chain with every pair of scores as thresholds holds every plan of the grid; so the grid
  // of the search, fine enough, must reach what they reach.
  const std::vector<CascadePlan> fine = SearchCascades(outcomes, budgets, {.depth = 3, .grid = 24});
  std::vector<float> levels;
  for (int i = 0; i <= 6; ++i) levels.push_back(static_cast<float>(i) / 6);
  for (size_t b = 0; b < budgets.size(); ++b) {
    double best = -1;
    const auto consider = [&](const CascadePlan& plan) {
      const Means means = RunAll(plan, outcomes);
      if (means.cost <= budgets[b]) best = std::max(best, means.quality);
    };
    for (size_t a = 0; a < 3; ++a) {
      consider({.chain = {a}, .accept_from = {}});
      for (size_t second = 0; second < 3; ++second) {
        if (second == a) continue;
        for (const float first_from : levels) {
          consider({.chain = {a, second}, .accept_from = {first_from}});
          for (const float second_from : levels) {
            consider({.chain = {a, second, 3 - a - second},
                      .accept_from = {first_from, second_from}});
          }
        }
      }
    }
    if (best < 0) continue;  // nothing is affordable: the cheapest runs
    EXPECT_LE(fine[b].quality, best + 1e-12);
    EXPECT_LE(plans[b].quality, best + 1e-12);
    // Two-stage plans have no order of shares to respect: those the grid must reach. 24 rows and 24
    // shares: every threshold.
    const std::vector<CascadePlan> pairs =
        SearchCascades(outcomes, {&budgets[b], 1}, {.depth = 2, .grid = 24});
    double best_pair = -1;
    for (size_t a = 0; a < 3; ++a) {
      for (size_t second = 0; second < 3; ++second) {
        if (second == a) continue;
        for (const float from : levels) {
          const Means means = RunAll({.chain = {a, second}, .accept_from = {from}}, outcomes);
          if (means.cost <= budgets[b]) best_pair = std::max(best_pair, means.quality);
        }
      }
      const Means alone = RunAll({.chain = {a}, .accept_from = {}}, outcomes);
      if (alone.cost <= budgets[b]) best_pair = std::max(best_pair, alone.quality);
    }
    EXPECT_NEAR(pairs[0].quality, best_pair, 1e-12);
  }
}

TEST(CascadeSearchTest, ABudgetBelowEverybodyGetsTheCheapest) {
  const Instance instance(3, 30, 5);
  const std::vector<CascadePlan> plans =
      SearchCascades(instance.view(), std::vector<double>{.1}, {});
  EXPECT_EQ(plans[0].chain, std::vector<size_t>{0});
}

TEST(RunCascadeTest, TheLastStageAcceptsEvenAScoreOfZero) {
  const std::vector<float> quality = {0, 1}, cost = {1, 5}, score = {0, 0};
  const CascadeOutcome outcome = RunCascade({.chain = {0, 1}, .accept_from = {.5f}},
                                            {2, 1, quality, cost, score}, 0);
  EXPECT_EQ(outcome.stages, 2u);
  EXPECT_EQ(outcome.quality, 1);
  EXPECT_EQ(outcome.cost, 6);  // both calls are paid for
}

TEST(RunCascadeTest, StopsAtTheFirstScoreThatReachesItsThreshold) {
  const std::vector<float> quality = {0, 1}, cost = {1, 5}, score = {.5f, 0};
  EXPECT_EQ(RunCascade({.chain = {0, 1}, .accept_from = {.5f}}, {2, 1, quality, cost, score}, 0)
                .stages,
            1u);
}

}  // namespace
}  // namespace penstock::router
