#include "router_service/learning/gates/least_squares.h"

#include <cmath>

#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;

TEST(RidgeLeastSquares, SolvesASquareSystem) {
  // x + 2y = 5, 3x - y = 1
  EXPECT_THAT(
      RidgeLeastSquares(std::vector<double>{1, 2, 3, -1}, 2, std::vector<double>{5, 1}, 1, 1e-14),
      ElementsAre(DoubleNear(1, 1e-10), DoubleNear(2, 1e-10)));
}

TEST(RidgeLeastSquares, ShrinksByItsRidge) {
  // (4 + 4) / (1 + 1 + 2)
  EXPECT_THAT(RidgeLeastSquares(std::vector<double>{1, 1}, 1, std::vector<double>{4, 4}, 1, 2),
              ElementsAre(DoubleNear(2, 1e-12)));
}

TEST(RidgeLeastSquares, ResidualIsOrthogonalToTheColumns) {
  constexpr size_t kRows = 40, kColumns = 5, kOutputs = 3;
  CounterRandom random(4, 4);
  std::vector<double> x(kRows * kColumns), y(kRows * kOutputs);
  for (double& value : x) value = 2 * random.Uniform() - 1;
  for (double& value : y) value = random.Uniform();
  const std::vector<double> w = RidgeLeastSquares(x, kColumns, y, kOutputs, 0.1);
  for (size_t j = 0; j < kColumns; ++j) {
    for (size_t o = 0; o < kOutputs; ++o) {
      double sum = -0.1 * w[j * kOutputs + o];
      for (size_t row = 0; row < kRows; ++row) {
        double residual = y[row * kOutputs + o];
        for (size_t c = 0; c < kColumns; ++c) {
          residual -= x[row * kColumns + c] * w[c * kOutputs + o];
        }
        sum += x[row * kColumns + j] * residual;
      }
      EXPECT_NEAR(sum, 0, 1e-12);
    }
  }
}

TEST(RidgeLeastSquares, SharesBetweenEqualColumns) {
  EXPECT_THAT(
      RidgeLeastSquares(std::vector<double>{1, 1, 2, 2}, 2, std::vector<double>{2, 4}, 1, 1e-6),
      ElementsAre(DoubleNear(1, 1e-5), DoubleNear(1, 1e-5)));
}

}  // namespace
}  // namespace penstock::router
