#include "router_service/baseline_cascades/quality_gap.h"

#include <vector>

#include "gtest/gtest.h"

namespace penstock::router {
namespace {

TEST(GapLabelsTest, WithoutToleranceTheyTellHowOftenTheSmallModelDoesAsWell) {
  const std::vector<float> gaps = {0, -.5f, .2f, -.1f};  // two samples of two requests
  EXPECT_EQ(GapLabels(gaps, 2, 0), (std::vector<float>{.5f, .5f}));
}

TEST(GapLabelsTest, DoNotFallWithTheTolerance) {
  const std::vector<float> gaps = {-.3f, -.2f, .1f, -.9f};
  std::vector<float> before = GapLabels(gaps, 1, 0);
  for (const double tolerance : {.1, .2, .3, .5, 1.0}) {
    const std::vector<float> after = GapLabels(gaps, 1, tolerance);
    for (size_t i = 0; i < after.size(); ++i) EXPECT_GE(after[i], before[i]);
    before = after;
  }
}

TEST(LabelSpreadTest, IsTheMeanDifferenceOfTwoRequests) {
  // |0-1|, |0-.5|, |1-.5|
  EXPECT_NEAR(LabelSpread({0, 1, .5f}), 2 / 3.0, 1e-6);
  EXPECT_EQ(LabelSpread({1, 1, 1}), 0);
}

TEST(WidestToleranceTest, SpreadsLabelsAtLeastAsFarAsNone) {
  // The small model is always worse: without tolerance all labels are 0.
  const std::vector<float> gaps = {-.1f, -.1f, -.6f, -.7f};
  const double tolerance = WidestTolerance(gaps, 1);
  EXPECT_NEAR(tolerance, .1, 1e-6);
  EXPECT_GT(LabelSpread(GapLabels(gaps, 1, tolerance)), LabelSpread(GapLabels(gaps, 1, 0)));
}

TEST(WidestToleranceTest, IsZeroWhereThatIsWidest) {
  EXPECT_EQ(WidestTolerance(std::vector<float>{-1, -1, 0, 1}, 1), 0);
}

}  // namespace
}  // namespace penstock::router
