#include "router_service/cost/nonnegative_least_squares.h"

#include <limits>

#include "common/random.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

using Vector = NonnegativeLeastSquares::Vector;
constexpr std::array<bool, 3> kAll = {true, true, true};
constexpr std::array<bool, 3> kTwo = {true, true, false};

TEST(NonnegativeLeastSquaresTest, StartsAtTheStartValues) {
  const NonnegativeLeastSquares model({0.5, 0.25, 7}, kTwo);
  EXPECT_EQ(model.coefficients(), (Vector{0.5, 0.25, 0}));
}

TEST(NonnegativeLeastSquaresTest, RecoversThePlantedTerms) {
  NonnegativeLeastSquares model({1, 1, 1}, kAll);
  for (uint64_t i = 0; i < 800; ++i) {
    CounterRandom random(1, i);
    const Vector x = {1, 1.0 + static_cast<double>(random.Below(32)),
                      static_cast<double>(random.Below(8))};
    model.Observe(x, (3 + 0.2 * x[1] + 0.7 * x[2]) * (0.9 + 0.2 * random.Uniform()));
  }
  EXPECT_NEAR(model.coefficients()[0], 3, 0.25);
  EXPECT_NEAR(model.coefficients()[1], 0.2, 0.02);
  EXPECT_NEAR(model.coefficients()[2], 0.7, 0.06);
}

TEST(NonnegativeLeastSquaresTest, NoTermGoesBelowZero) {
  NonnegativeLeastSquares model({1, 1, 0}, kTwo);
  // The best line has intercept -1.
  for (int i = 0; i < 500; ++i) {
    const double rows = 1 + i % 4;
    model.Observe({1, rows, 0}, 2 * rows - 1);
  }
  EXPECT_GE(model.coefficients()[0], 0);
  EXPECT_NEAR(model.coefficients()[0], 0, 0.02);
  EXPECT_NEAR(model.coefficients()[1], 1.65, 0.1);
}

TEST(NonnegativeLeastSquaresTest, AStartThirtyTimesOffIsForgottenSoon) {
  for (const double off : {30.0, 1 / 30.0}) {
    NonnegativeLeastSquares model({off, 0.1 * off, 0}, kTwo);
    for (int i = 0; i < 25; ++i) {
      const double rows = 1 + i % 8;
      model.Observe({1, rows, 0}, 1 + 0.1 * rows);
    }
    const double predicted = NonnegativeLeastSquares::Predict(model.coefficients(), {1, 4, 0});
    EXPECT_NEAR(predicted, 1.4, 0.1) << off;
  }
}

TEST(NonnegativeLeastSquaresTest, LearnsFromNothing) {
  NonnegativeLeastSquares model({0, 0, 0}, kTwo);
  for (int i = 0; i < 20; ++i) model.Observe({1, 1, 0}, 0.02);
  EXPECT_NEAR(NonnegativeLeastSquares::Predict(model.coefficients(), {1, 1, 0}), 0.02, 1e-4);
}

TEST(NonnegativeLeastSquaresTest, FollowsAChange) {
  NonnegativeLeastSquares model({1, 1, 0}, kTwo);
  for (int i = 0; i < 500; ++i) model.Observe({1, 2, 0}, 3);
  for (int i = 0; i < 1000; ++i) model.Observe({1, 2, 0}, 4.5);
  EXPECT_NEAR(NonnegativeLeastSquares::Predict(model.coefficients(), {1, 2, 0}), 4.5, 0.05);
}

TEST(NonnegativeLeastSquaresTest, IgnoresWhatIsNoMeasurement) {
  NonnegativeLeastSquares model({1, 1, 0}, kTwo);
  model.Observe({1, 2, 0}, -1);
  model.Observe({1, 2, 0}, std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(model.coefficients(), (Vector{1, 1, 0}));
}

}  // namespace
}  // namespace penstock::router
