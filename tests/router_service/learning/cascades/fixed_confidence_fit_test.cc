#include "router_service/learning/cascades/fixed_confidence_fit.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "tests/router_service/learning/cascades/synthetic_table.h"

namespace penstock::router {
namespace {

// small is right as often as it says, large 9 times of 10 at 10 times the joules.
OutcomeTable Honest(size_t rows, uint64_t seed) {
  return SyntheticTable(rows, seed, [](CounterRandom& random, float&) {
    const float p = static_cast<float>(std::round(20 * (0.5 + 0.5 * random.Uniform())) / 20);
    const float small = random.Uniform() < p ? 1.0f : 0.0f;
    const float large = random.Uniform() < 0.9 ? 1.0f : 0.0f;
    return std::vector<Outcome>{{small, {p, 1 - p}, 1}, {large, {-1, 0}, 10}};
  });
}

double Worth(const OutcomeTable& table, float from, double price) {
  double sum = 0;
  for (size_t row = 0; row < table.rows(); ++row) {
    const bool stands = table.confidence[row].first >= from;
    sum += stands ? table.quality[row] : table.quality[table.At(1, row)] - price * 10;
  }
  return sum / static_cast<double>(table.rows());
}

TEST(FitFixedConfidence, IsTheBestOfAllThresholds) {
  const OutcomeTable table = Honest(300, 11);
  for (const double price : {0.0, 0.01, 0.03}) {
    const FixedConfidenceFit fit = FitFixedConfidence(table, price);
    double best = -1e9;
    for (int i = 0; i <= 110; ++i) best = std::max(best, Worth(table, i / 100.0f, price));
    ASSERT_EQ(fit.next[0], 1u) << price;
    EXPECT_NEAR(Worth(table, fit.from[0], price), best, 1e-9) << price;
  }
}

TEST(FitFixedConfidence, AtALargePriceNobodyIsAsked) {
  const FixedConfidenceFit fit = FitFixedConfidence(Honest(300, 11), 1);
  EXPECT_EQ(fit.next[0], 0u);
  EXPECT_EQ(fit.from[0], 0);
}

TEST(FitFixedConfidence, AnExpertThatSaysNothingStands) {
  EXPECT_EQ(FitFixedConfidence(Honest(300, 11), 0).next[1], 1u);
}

TEST(CalibrationErrors, AreSmallWhereTheFitHoldsAndNanWhereNothingIsKnown) {
  const OutcomeTable train = Honest(2000, 1), heldout = Honest(2000, 2);
  const CascadeFit fit = FitCascade(train, FoldsOf(train), 5);
  const std::vector<float> errors = CalibrationErrors(fit, heldout);
  ASSERT_EQ(errors.size(), 4u);
  // 15 bins of 133 rows: drawing alone gives about .03.
  EXPECT_LT(errors[0], 0.05f);
  EXPECT_LT(errors[1], 0.05f);
  EXPECT_TRUE(std::isnan(errors[2]));
  EXPECT_TRUE(std::isnan(errors[3]));
}

TEST(CalibrationErrors, TellAFitThatDoesNotHold) {
  const OutcomeTable train = Honest(2000, 1);
  OutcomeTable drifted = Honest(2000, 2);
  for (size_t row = 0; row < drifted.rows(); row += 2) drifted.quality[row] = 0;
  const CascadeFit fit = FitCascade(train, FoldsOf(train), 5);
  EXPECT_GT(CalibrationErrors(fit, drifted)[0], 0.2f);
}

}  // namespace
}  // namespace penstock::router
