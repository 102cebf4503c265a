#include "router_service/planning/chain_search.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace penstock::router {
namespace {

using ::testing::HasSubstr;

// Dearer experts are better, and scores tell right from wrong most of the time.
ChainSample RandomSample(uint64_t seed, size_t experts, size_t rows) {
  CounterRandom random(seed, 0);
  ChainSample sample;
  sample.experts = experts;
  sample.rows = rows;
  for (size_t e = 0; e < experts; ++e) {
    const double cost = std::pow(3.0, static_cast<double>(e));
    for (size_t x = 0; x < rows; ++x) {
      const bool right = random.Uniform() < 0.4 + 0.15 * static_cast<double>(e);
      sample.quality.push_back(right ? 1 : 0);
      sample.cost.push_back(cost * (0.5 + random.Uniform()));
      sample.score.push_back(0.7 * random.Uniform() + (right ? 0.3 : 0));
    }
  }
  return sample;
}

std::vector<size_t> Rows(size_t from, size_t to) {
  std::vector<size_t> rows(to - from);
  std::iota(rows.begin(), rows.end(), from);
  return rows;
}

double MeanCost(const ChainSample& sample, size_t e) {
  double sum = 0;
  for (size_t x = 0; x < sample.rows; ++x) sum += sample.cost[e * sample.rows + x];
  return sum / static_cast<double>(sample.rows);
}

TEST(ChainSearchTest, KeepsTheBudgetAndBeatsEverySingleExpertWithinIt) {
  const ChainSample sample = RandomSample(1, 4, 600);
  const std::vector<size_t> rows = Rows(0, 600);
  for (const double budget : {1.5, 4.0, 8.0, 15.0, 30.0}) {
    SCOPED_TRACE(budget);
    const auto plan = SearchChain(sample, rows, {}, {.budget = budget});
    ASSERT_THAT(plan, IsOk());
    EXPECT_LE(plan->tuning.cost, budget);
    for (size_t e = 0; e < sample.experts; ++e) {
      if (MeanCost(sample, e) > budget) continue;
      const ChainStage alone{e};
      EXPECT_GE(plan->tuning.quality, RunChain(sample, {&alone, 1}, rows).quality);
    }
  }
}

// The best within the budget of every chain and every pair of thresholds at distinct scores.
double BestByEnumeration(const ChainSample& sample, double budget) {
  const std::vector<size_t> rows = Rows(0, sample.rows);
  double best = -1;
  const auto look = [&](const std::vector<ChainStage>& stages) {
    const ChainFigures figures = RunChain(sample, stages, rows);
    if (figures.cost <= budget) best = std::max(best, figures.quality);
  };
  const auto thresholds = [&sample](size_t e) {
    std::set<double> values = {std::numeric_limits<double>::infinity()};
    for (size_t x = 0; x < sample.rows; ++x) values.insert(sample.score[e * sample.rows + x]);
    return values;
  };
  for (size_t a = 0; a < sample.experts; ++a) {
    look({{a}});
    for (size_t b = 0; b < sample.experts; ++b) {
      if (b == a) continue;
      for (const double t : thresholds(a)) look({{a, t}, {b}});
    }
  }
  return best;
}

TEST(ChainSearchTest, EqualsEnumerationOfPairsOnSmallSamples) {
  for (uint64_t seed = 10; seed < 40; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    const size_t rows = 12;
    ChainSample sample = RandomSample(seed, 3, rows);
    // As many thresholds as rows: every distinct acceptance is on the grid.
    const double budget = 1.2 * MeanCost(sample, 1);
    const auto plan = SearchChain(sample, Rows(0, rows), {},
                                  {.budget = budget, .depth = 2, .grid = rows, .refinements = 0});
    ASSERT_THAT(plan, IsOk());
    // Chains leave out who another beats in both means; enumeration need not.
    EXPECT_LE(plan->tuning.quality, BestByEnumeration(sample, budget) + 1e-12);
    bool dominated = false;
    for (size_t a = 0; a < 3; ++a) {
      for (size_t b = 0; b < 3; ++b) {
        const ChainStage sa{a}, sb{b};
        dominated = dominated || (a != b && MeanCost(sample, a) <= MeanCost(sample, b) &&
                                  RunChain(sample, {&sa, 1}, Rows(0, rows)).quality >=
                                      RunChain(sample, {&sb, 1}, Rows(0, rows)).quality);
      }
    }
    if (!dominated) {
      EXPECT_NEAR(plan->tuning.quality, BestByEnumeration(sample, budget), 1e-12);
    }
  }
}

TEST(ChainSearchTest, TheLastStageAlwaysStandsWhateverItsScore) {
  ChainSample sample = RandomSample(3, 2, 50);
  std::fill(sample.score.begin(), sample.score.end(), 0.0);
  const std::vector<ChainStage> stages = {{0, 0.5}, {1}};
  const ChainFigures figures = RunChain(sample, stages, Rows(0, 50));
  EXPECT_EQ(figures.reached[1], 1.0);
  double right = 0;
  for (size_t x = 0; x < 50; ++x) right += sample.quality[50 + x];
  EXPECT_NEAR(figures.quality, right / 50, 1e-12);
}

TEST(ChainSearchTest, PicksOnHeldOutRowsAndKeepsTheBudgetThere) {
  const ChainSample sample = RandomSample(4, 4, 800);
  const auto plan = SearchChain(sample, Rows(0, 400), Rows(400, 800), {.budget = 8});
  ASSERT_THAT(plan, IsOk());
  EXPECT_LE(plan->tuning.cost, 8);
  EXPECT_LE(plan->heldout.cost, 8);
  const std::vector<size_t> heldout = Rows(400, 800);
  EXPECT_EQ(plan->heldout.quality, RunChain(sample, plan->stages, heldout).quality);
}

TEST(ChainSearchTest, AcceptedSharesDoNotFallAlongTheChain) {
  const ChainSample sample = RandomSample(5, 3, 500);
  const auto plan = SearchChain(sample, Rows(0, 500), {}, {.budget = 7, .refinements = 0});
  ASSERT_THAT(plan, IsOk());
  double before = 0;
  for (size_t l = 0; l + 1 < plan->stages.size(); ++l) {
    const double accepted = 1 - plan->tuning.reached[l + 1] / plan->tuning.reached[l];
    EXPECT_GE(accepted, before - 0.03);  // one step of the grid, and rows that are whole
    before = accepted;
  }
}

TEST(ChainSearchTest, StagesOneAfterAnotherKeepTheLatencyLimit) {
  ChainSample sample = RandomSample(6, 3, 200);
  sample.latency_s = {1, 2, 4};
  const auto plan = SearchChain(sample, Rows(0, 200), {}, {.budget = 100, .latency_limit_s = 4.5});
  ASSERT_THAT(plan, IsOk());
  double seconds = 0;
  for (const ChainStage& stage : plan->stages) seconds += sample.latency_s[stage.expert];
  EXPECT_LE(seconds, 4.5);
}

TEST(ChainSearchTest, SaysWhatTheCheapestTakesWhereNothingFits) {
  EXPECT_THAT(SearchChain(RandomSample(7, 2, 20), Rows(0, 20), {}, {.budget = 0.01}),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("the cheapest takes")));
}

}  // namespace
}  // namespace penstock::router
