#include "router_service/learning/gate_targets.h"

#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/router_service/learning/cascades/synthetic_table.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;

// Qualities and costs that vary by request.
OutcomeTable Table(size_t rows) {
  return SyntheticTable(rows, 9, [](CounterRandom& random, float&) {
    std::vector<Outcome> outcomes(3);
    for (Outcome& outcome : outcomes) {
      outcome.quality = random.Uniform() < 0.6 ? 1.0f : 0.0f;
      outcome.cost = static_cast<float>(1 + 9 * random.Uniform());
    }
    return outcomes;
  });
}

double MeanCostOf(const OutcomeTable& table, const std::vector<size_t>& labels) {
  double sum = 0;
  for (size_t row = 0; row < labels.size(); ++row) sum += table.cost[table.At(labels[row], row)];
  return sum / static_cast<double>(labels.size());
}

TEST(UtilityLabels, WithoutAPriceAreTheBestAndOfEqualsTheCheapest) {
  const OutcomeTable table = Table(200);
  const std::vector<size_t> labels = UtilityLabels(table, 0);
  for (size_t row = 0; row < table.rows(); ++row) {
    const size_t label = table.At(labels[row], row);
    for (size_t e = 0; e < 3; ++e) {
      const size_t other = table.At(e, row);
      ASSERT_LE(table.quality[other], table.quality[label]) << row;
      if (table.quality[other] == table.quality[label]) {
        ASSERT_LE(table.cost[label], table.cost[other]) << row;
      }
    }
  }
}

TEST(UtilityLabels, AtALargePriceAreTheCheapest) {
  const OutcomeTable table = Table(200);
  const std::vector<size_t> labels = UtilityLabels(table, 1e6);
  for (size_t row = 0; row < table.rows(); ++row) {
    for (size_t e = 0; e < 3; ++e) {
      ASSERT_LE(table.cost[table.At(labels[row], row)], table.cost[table.At(e, row)]) << row;
    }
  }
}

TEST(UtilityLabels, CostLessAsThePriceRises) {
  const OutcomeTable table = Table(500);
  double before = 1e9;
  for (const double price : {0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 100.0}) {
    const double cost = MeanCostOf(table, UtilityLabels(table, price));
    EXPECT_LE(cost, before) << price;
    before = cost;
  }
  EXPECT_LT(before, MeanCostOf(table, UtilityLabels(table, 0)));
}

TEST(UtilityLabels, LeaveTheOutcomesAsTheyAre) {
  const OutcomeTable table = Table(100);
  const auto digest = [&] {
    std::string all;
    for (const float value : table.quality) absl::StrAppend(&all, value, " ");
    for (const float value : table.cost) absl::StrAppend(&all, value, " ");
    return std::hash<std::string>{}(all);
  };
  const size_t before = digest();
  EXPECT_NE(UtilityLabels(table, 0), UtilityLabels(table, 0.2));
  EXPECT_EQ(digest(), before);
}

TEST(UtilityLabels, TakeTheRequestsOwnCostWhereItIsKnown) {
  // small costs 1 J in the mean, but 5 in the first row; where it is unknown the mean counts.
  OutcomeTable table = SyntheticTable(3, 1, [](CounterRandom&, float&) {
    return std::vector<Outcome>{{1, {-1, 0}, 0.5f}, {1, {-1, 0}, 2}};
  });
  table.cost[0] = 5;
  table.cost[2] = std::nanf("");
  EXPECT_THAT(UtilityLabels(table, 0.1), ElementsAre(1, 0, 1));
}

TEST(UtilityLabels, NobodyIsTheLabelOfARequestThatNobodyWasAsked) {
  OutcomeTable table = Table(2);
  for (size_t e = 0; e < 3; ++e) table.quality[table.At(e, 1)] = std::nanf("");
  EXPECT_NE(UtilityLabels(table, 0)[0], kNobody);
  EXPECT_EQ(UtilityLabels(table, 0)[1], kNobody);
}

TEST(GateTargets, OfUtilityTakeTheWholeRow) {
  const OutcomeTable table = Table(50);
  const std::vector<float> targets = GateTargets(table, GateLabels::kUtility, 0.05);
  const std::vector<size_t> labels = UtilityLabels(table, 0.05);
  for (size_t row = 0; row < table.rows(); ++row) {
    for (size_t e = 0; e < 3; ++e) {
      ASSERT_EQ(targets[table.At(e, row)], e == labels[row] ? 1.0f : 0.0f) << row;
    }
  }
}

TEST(GateTargets, SharedAreAllThatAreRight) {
  const OutcomeTable table = SyntheticTable(1, 1, [](CounterRandom&, float&) {
    return std::vector<Outcome>{{1, {-1, 0}, 1}, {0, {-1, 0}, 2}, {1, {-1, 0}, 9}};
  });
  EXPECT_THAT(GateTargets(table, GateLabels::kShared, 0), ElementsAre(0.5f, 0, 0.5f));
  EXPECT_THAT(GateTargets(table, GateLabels::kShared, 0.01), ElementsAre(1, 0, 0));
}

}  // namespace
}  // namespace penstock::router
