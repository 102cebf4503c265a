#include "router_service/learning/prediction_metrics.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"

namespace penstock::router {
namespace {

TEST(BrierScore, IsTheMeanSquare) {
  const std::vector<float> p = {0.5f, 1, 0.25f, 0.9f}, y = {1, 1, 0, std::nanf("")};
  EXPECT_NEAR(BrierScore(p, y), (0.25 + 0 + 0.0625) / 3, 1e-7);
}

TEST(LogLoss, IsFiniteForCertainMistakes) {
  const std::vector<float> p = {1, 0.5f}, y = {0, 1};
  EXPECT_NEAR(LogLoss(p, y), (-std::log(1e-7) + std::log(2)) / 2, 1e-6);
}

TEST(CalibrationError, IsZeroWhereEachBinIsRight) {
  const std::vector<float> p = {0.5f, 0.5f, 1, 1}, y = {0, 1, 1, 1};
  EXPECT_NEAR(CalibrationError(p, y, 2), 0, 1e-7);
}

TEST(CalibrationError, AveragesTheBinsGaps) {
  // Bin 1: .2 predicted, .5 right; bin 2: .9 predicted, .5 right.
  const std::vector<float> p = {0.9f, 0.2f, 0.9f, 0.2f}, y = {1, 0, 0, 1};
  EXPECT_NEAR(CalibrationError(p, y, 2), 0.5 * 0.3 + 0.5 * 0.4, 1e-6);
}

TEST(SymmetricDivergence, IsZeroOnlyForEqualDistributions) {
  const std::vector<float> p = {0.25f, 0.75f}, q = {0.75f, 0.25f};
  EXPECT_EQ(SymmetricDivergence(p, p), 0);
  EXPECT_NEAR(SymmetricDivergence(p, q), std::log(3), 1e-6);
  EXPECT_EQ(SymmetricDivergence(p, q), SymmetricDivergence(q, p));
}

TEST(SymmetricDivergence, IsInfiniteForDisjointSupport) {
  EXPECT_TRUE(std::isinf(SymmetricDivergence({1.0f, 0.0f}, {0.5f, 0.5f})));
}

}  // namespace
}  // namespace penstock::router
