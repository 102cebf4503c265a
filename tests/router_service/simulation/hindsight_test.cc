#include "router_service/simulation/hindsight.h"

#include <cmath>

#include "common/random.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

OutcomeMatrix::Cell Answer(float quality, float joules) {
  return {quality, joules, 0, 0, quality, joules, 0};
}

// Two requests: at the first 4 J more buy .4, at the second .2.
OutcomeMatrix TwoRequests() {
  OutcomeMatrix outcomes;
  outcomes.experts = {"small", "large"};
  outcomes.ids = {"a", "b"};
  outcomes.cells = {Answer(0.5f, 1), Answer(0.9f, 5), Answer(0.5f, 1), Answer(0.7f, 5)};
  return outcomes;
}

constexpr uint32_t kBoth[] = {0, 1};

TEST(HindsightTest, SpendsWhereTheNextJouleBuysMost) {
  const HindsightPlan plan = Hindsight(TwoRequests(), kBoth, 3, HindsightCost::kActual);
  EXPECT_NEAR(plan.quality, 0.7, 1e-6);
  EXPECT_NEAR(plan.joules, 3, 1e-6);
}

TEST(HindsightTest, TakesAFractionOfTheLastOne) {
  // 4 J each: the first whole, half of the second.
  const HindsightPlan plan = Hindsight(TwoRequests(), kBoth, 4, HindsightCost::kActual);
  EXPECT_NEAR(plan.quality, (0.9 + 0.6) / 2, 1e-6);
  EXPECT_NEAR(plan.joules, 4, 1e-6);
  EXPECT_NEAR(plan.price, 0.05, 1e-6);
}

TEST(HindsightTest, WhatIsCoveredHasNoPrice) {
  const HindsightPlan plan = Hindsight(TwoRequests(), kBoth, 6, HindsightCost::kActual);
  EXPECT_DOUBLE_EQ(plan.price, 0);
  EXPECT_NEAR(plan.quality, 0.8, 1e-6);
}

TEST(HindsightTest, WhatCannotBeMetTakesTheCheapest) {
  const HindsightPlan plan = Hindsight(TwoRequests(), kBoth, 0.5, HindsightCost::kActual);
  EXPECT_NEAR(plan.joules, 1, 1e-6);
}

TEST(HindsightTest, NoPriceOfARandomInstanceDoesBetterAtItsJoules) {
  OutcomeMatrix outcomes;
  outcomes.experts = {"a", "b", "c"};
  std::vector<uint32_t> rows;
  for (uint32_t row = 0; row < 200; ++row) {
    CounterRandom random(9, row);
    outcomes.ids.push_back(std::to_string(row));
    rows.push_back(row);
    for (int e = 1; e <= 3; ++e) {
      outcomes.cells.push_back(Answer(static_cast<float>(random.Uniform()),
                                      static_cast<float>(e * (0.5 + random.Uniform()))));
    }
  }
  for (const double price : {0.0, 0.05, 0.1, 0.3, 1.0}) {
    const HindsightPlan fixed = AtFixedPrice(outcomes, rows, price, HindsightCost::kActual);
    const HindsightPlan best = Hindsight(outcomes, rows, fixed.joules, HindsightCost::kActual);
    EXPECT_GE(best.predicted_quality, fixed.predicted_quality - 1e-9) << price;
    EXPECT_LE(best.joules, fixed.joules + 1e-6) << price;
  }
}

TEST(OfflinePriceTest, MeetsTheMeanOfPredictedJoules) {
  const OutcomeMatrix outcomes = TwoRequests();
  const double price = OfflinePrice(outcomes, 3);
  // Between .05 and .1 a joule, only the first request is worth it.
  EXPECT_GE(price, 0.05 - 1e-6);  // of floats
  EXPECT_LE(price, 0.1);
}

TEST(MixedSinglesTest, LiesOnTheLineBetweenTwoExperts) {
  EXPECT_NEAR(MixedSingles(TwoRequests(), kBoth, 3), 0.65, 1e-6);
  EXPECT_NEAR(MixedSingles(TwoRequests(), kBoth, 9), 0.8, 1e-6);
}

}  // namespace
}  // namespace penstock::router
