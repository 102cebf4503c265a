#include "router_service/pacing/price_level.h"

#include <cmath>
#include <limits>
#include <vector>

#include "common/random.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

DecisionTable Table(std::vector<PricedOption> options, size_t k = 1, double sunk = 0,
                    double other = 0, bool follow_up = false) {
  return DecisionTable(sunk, options, k, other, follow_up);
}

TEST(DecisionTableTest, TakesTheOptionThatIsBestAtThePrice) {
  const DecisionTable table = Table({{0.5, 1}, {0.7, 2}, {0.8, 4}});
  EXPECT_FLOAT_EQ(table.EnergyAt(0), 4);
  EXPECT_FLOAT_EQ(table.EnergyAt(0.04), 4);
  EXPECT_FLOAT_EQ(table.EnergyAt(0.06), 2);  // (.8 - .7) / 2 = .05
  EXPECT_FLOAT_EQ(table.EnergyAt(0.25), 1);  // (.7 - .5) / 1 = .2
  EXPECT_FLOAT_EQ(table.FloorEnergy(), 1);
}

TEST(DecisionTableTest, DropsWhatIsBestAtNoPrice) {
  // {.55, 3} lies under the line from {.5, 1} to {.8, 4}; {.4, 5} is worse and dearer.
  EXPECT_EQ(Table({{0.5, 1}, {0.55, 3}, {0.8, 4}, {0.4, 5}}).size(), 2u);
}

TEST(DecisionTableTest, AHullAgreesWithTryingEveryOption) {
  for (uint64_t t = 0; t < 2000; ++t) {
    CounterRandom random(7, t);
    std::vector<PricedOption> options;
    for (uint64_t i = 0, n = 1 + random.Below(8); i < n; ++i) {
      // Floats hold them exactly.
      options.push_back({static_cast<double>(random.Below(1000)) / 1024,
                         static_cast<double>(random.Below(64)) / 8});
    }
    const double price = random.Uniform() * 0.5;
    double best = -1e9;
    for (const PricedOption& o : options) best = std::max(best, o.quality - price * o.energy_j);
    const double energy = Table(options).EnergyAt(price);
    bool achieves_best = false;
    for (const PricedOption& o : options) {
      achieves_best |= o.energy_j == energy && o.quality - price * energy >= best - 1e-6;
    }
    EXPECT_TRUE(achieves_best) << t;
  }
}

TEST(DecisionTableTest, FurtherExpertsJoinOnlyWhereTheyAreWorthTheirJoules) {
  const DecisionTable table = Table({{0.5, 1}, {0.4, 1}, {0.1, 1}}, 2);
  EXPECT_FLOAT_EQ(table.EnergyAt(0), 2);
  EXPECT_FLOAT_EQ(table.EnergyAt(0.45), 1);
  EXPECT_FLOAT_EQ(table.EnergyAt(10), 1);  // one always runs
}

TEST(DecisionTableTest, CountsWhatIsPaidWhateverThePrice) {
  const DecisionTable table = Table({{0.5, 0}, {0.9, 5}}, 1, 0.5);
  EXPECT_FLOAT_EQ(table.EnergyAt(0), 5.5);
  EXPECT_FLOAT_EQ(table.EnergyAt(1), 0.5);
}

TEST(DecisionTableTest, AddsThePriceOfOtherBudgets) {
  EXPECT_FLOAT_EQ(Table({{0.5, 1}, {0.7, 2}}, 1, 0, 0.3).EnergyAt(0), 1);
}

TEST(DecisionTableTest, NothingToDecideTakesNothing) {
  EXPECT_FLOAT_EQ(Table({}, 1, 0.25).EnergyAt(1), 0.25);
}

// Gains uniform in [0, 1] for one joule: at price l the share 1 - l of decisions takes it.
std::vector<DecisionTable> UniformGains(double scale) {
  std::vector<DecisionTable> tables;
  for (int i = 0; i < 500; ++i) tables.push_back(Table({{0, 0}, {scale * (i + 0.5) / 500, 1}}));
  return tables;
}

TEST(PriceLevelTest, FindsThePriceThatMeetsTheTarget) {
  const auto solution = PriceLevel::Solve(UniformGains(1), 0.25, 0);
  EXPECT_NEAR(solution.price, 0.75, 0.003);
  EXPECT_FALSE(solution.slack);
  EXPECT_NEAR(PriceLevel::MeanEnergy(UniformGains(1), solution.price), 0.25, 0.003);
}

TEST(PriceLevelTest, ThePriceDoesNotDependOnTheHint) {
  for (const double hint : {1e-6, 0.3, 0.75, 2.0, 1e5}) {
    EXPECT_NEAR(PriceLevel::Solve(UniformGains(1), 0.25, hint).price, 0.75, 0.003) << hint;
  }
}

TEST(PriceLevelTest, TwiceTheRewardsTwiceThePrice) {
  const double price = PriceLevel::Solve(UniformGains(1), 0.25, 0).price;
  EXPECT_NEAR(PriceLevel::Solve(UniformGains(2), 0.25, 0).price, 2 * price, 0.003 * price);
}

TEST(PriceLevelTest, ASlackTargetHasNoPrice) {
  const auto solution = PriceLevel::Solve(UniformGains(1), 1.0, 0.5);
  EXPECT_TRUE(solution.slack);
  EXPECT_EQ(solution.price, 0);
}

TEST(PriceLevelTest, ATargetBelowTheCheapestLeavesTheCheapest) {
  std::vector<DecisionTable> tables = {Table({{0.5, 2}, {0.9, 10}}), Table({{0.5, 2}, {0.6, 4}})};
  const auto solution = PriceLevel::Solve(tables, 1, 0);
  EXPECT_DOUBLE_EQ(solution.floor_j, 2);
  EXPECT_TRUE(std::isfinite(solution.price));
  EXPECT_NEAR(PriceLevel::MeanEnergy(tables, solution.price), 2, 1e-5);
}

TEST(PriceLevelTest, AFollowUpAddsJoulesToItsRequest) {
  const std::vector<DecisionTable> tables = {Table({{0, 1}}),
                                             Table({{0, 0}, {0.5, 4}}, 1, 0, 0, true)};
  EXPECT_DOUBLE_EQ(PriceLevel::MeanEnergy(tables, 0), 5);
}

TEST(PriceLevelTest, ForgetsAllButTheLastDecisions) {
  PriceLevel level;
  for (size_t i = 0; i < PriceLevel::kWindow; ++i) level.Record(Table({{0, 1}}));
  for (size_t i = 0; i < PriceLevel::kWindow; ++i) level.Record(Table({{0, 3}}));
  EXPECT_EQ(level.tables().size(), PriceLevel::kWindow);
  EXPECT_DOUBLE_EQ(PriceLevel::MeanEnergy(level.tables(), 0), 3);
}

TEST(PriceLevelTest, EndsAtAFinitePriceWhateverItIsGiven) {
  const double worths[] = {-1e308, -1e94, 0, 1e-300, 1e94, 1e308};
  const double hints[] = {0, 5e-324, 1e-312, 1, 1e300, std::numeric_limits<double>::infinity()};
  const double targets[] = {5e-324, 1e-312, 1, 1e308};
  for (const double worth : worths) {
    for (const size_t k : {1, 2}) {
      const PricedOption options[] = {{worth, 1e-3}, {0.5, 1}, {-worth, 2}, {1, 1e30}};
      const std::vector<DecisionTable> tables(3, DecisionTable(0, options, k, 0, false));
      for (const double hint : hints) {
        for (const double target : targets) {
          const PriceLevel::Solution solution = PriceLevel::Solve(tables, target, hint, 0.05);
          EXPECT_TRUE(std::isfinite(solution.price)) << worth << " " << hint << " " << target;
          EXPECT_GE(solution.price, 0);
        }
      }
    }
  }
}

}  // namespace
}  // namespace penstock::router
