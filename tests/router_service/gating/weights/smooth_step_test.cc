#include "router_service/gating/weights/smooth_step.h"

#include "gtest/gtest.h"

namespace penstock::router {
namespace {

TEST(SmoothStep, HasItsKnownValuesAndReachesBothEnds) {
  EXPECT_EQ(SmoothStep(-0.5, 1), 0);
  EXPECT_EQ(SmoothStep(-0.25, 1), 0.15625);
  EXPECT_EQ(SmoothStep(0, 1), 0.5);
  EXPECT_EQ(SmoothStep(0.25, 1), 0.84375);
  EXPECT_EQ(SmoothStep(0.5, 1), 1);
  EXPECT_EQ(SmoothStep(7, 1), 1);
  EXPECT_EQ(SmoothStep(-7, 1), 0);
}

TEST(SmoothStep, IsSymmetric) {
  for (const double t : {0.01, 0.1, 0.3, 0.49, 0.6}) {
    EXPECT_NEAR(SmoothStep(t, 1) + SmoothStep(-t, 1), 1, 1e-15) << t;
  }
}

TEST(SmoothStep, StretchesWithItsWidth) {
  EXPECT_EQ(SmoothStep(0.5, 2), SmoothStep(0.25, 1));
  EXPECT_EQ(SmoothStep(1, 2), 1);
}

TEST(SmoothStep, SlopeIsThatOfTheStep) {
  constexpr double kStep = 1e-6;
  for (const double width : {0.5, 1.0, 3.0}) {
    for (const double t : {-2.0, -0.24, -0.1, 0.0, 0.2, 0.249, 2.0}) {
      const double slope =
          (SmoothStep(t + kStep, width) - SmoothStep(t - kStep, width)) / (2 * kStep);
      EXPECT_NEAR(SmoothStepSlope(t, width), slope, 1e-8) << t << " of " << width;
    }
  }
}

}  // namespace
}  // namespace penstock::router
