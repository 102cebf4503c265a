#include "router_service/exploration/ridge_estimate.h"

#include <cmath>
#include <vector>

#include "common/random.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

std::vector<double> Draw(CounterRandom& random, size_t dimension) {
  std::vector<double> z(dimension);
  for (double& entry : z) entry = 2 * random.Uniform() - 1;
  return z;
}

TEST(RidgeEstimateTest, OneDirectionByHand) {
  RidgeEstimate ridge(1, 1);
  EXPECT_EQ(ridge.Deviation(std::vector<double>{1}), 1);
  ridge.Observe(std::vector<double>{2}, 3);
  // V = 1 + 4, theta = 6 / 5.
  EXPECT_NEAR(ridge.Mean(std::vector<double>{1}), 1.2, 1e-12);
  EXPECT_NEAR(ridge.Deviation(std::vector<double>{1}), 1 / std::sqrt(5.0), 1e-12);
  EXPECT_EQ(ridge.observed(), 1u);
}

TEST(RidgeEstimateTest, FindsAPlantedLine) {
  RidgeEstimate ridge(4, 1);
  CounterRandom random(1, 0);
  const std::vector<double> truth = {.5, -.2, 0, .3};
  for (int i = 0; i < 5000; ++i) {
    const std::vector<double> z = Draw(random, 4);
    double y = random.Uniform() - 0.5;
    for (size_t k = 0; k < 4; ++k) y += truth[k] * z[k];
    ridge.Observe(z, y);
  }
  for (size_t k = 0; k < 4; ++k) {
    std::vector<double> axis(4, 0);
    axis[k] = 1;
    EXPECT_NEAR(ridge.Mean(axis), truth[k], 0.03);
  }
}

TEST(RidgeEstimateTest, TheFactorIsThatOfTheSum) {
  constexpr size_t kDimension = 6;
  RidgeEstimate ridge(kDimension, 1);
  CounterRandom random(2, 0);
  std::vector<double> sum(kDimension * kDimension, 0);
  for (size_t k = 0; k < kDimension; ++k) sum[k * kDimension + k] = 1;
  for (int i = 0; i < 100000; ++i) {
    const std::vector<double> z = Draw(random, kDimension);
    for (size_t a = 0; a < kDimension; ++a) {
      for (size_t b = 0; b < kDimension; ++b) sum[a * kDimension + b] += z[a] * z[b];
    }
    ridge.Observe(z, 0);
  }
  const absl::Span<const double> factor = ridge.factor();
  for (size_t a = 0; a < kDimension; ++a) {
    EXPECT_GT(factor[a * kDimension + a], 0);
    for (size_t b = 0; b < kDimension; ++b) {
      double product = 0;
      for (size_t k = 0; k < kDimension; ++k) {
        product += factor[a * kDimension + k] * factor[b * kDimension + k];
      }
      EXPECT_NEAR(product, sum[a * kDimension + b], 1e-9 * sum[0]);
    }
  }
}

// What no observation ever looks at keeps its ridge, whatever is forgotten.
TEST(RidgeEstimateTest, StaysPositiveDefiniteWhileItForgets) {
  for (const double forget : {0.9, 0.99, 0.999}) {
    constexpr size_t kDimension = 8;
    RidgeEstimate ridge(kDimension, forget);
    std::vector<double> z(kDimension, 0);
    z[0] = 1;
    z[3] = 1e-3;
    for (int i = 0; i < 100000; ++i) ridge.Observe(z, 1);
    for (size_t k = 0; k < kDimension; ++k) {
      ASSERT_GT(ridge.factor()[k * kDimension + k], 0.9) << forget << " " << k;
    }
    std::vector<double> unseen(kDimension, 0);
    unseen[7] = 1;
    EXPECT_NEAR(ridge.Deviation(unseen), 1, 0.06) << forget;
    EXPECT_NEAR(ridge.Mean(z), 1, 1.1 * (1 - forget)) << forget;
    // Of 1 / (1 - forget) observations that count.
    EXPECT_NEAR(ridge.Deviation(z), std::sqrt(1 - forget), 0.1 * std::sqrt(1 - forget)) << forget;
  }
}

TEST(RidgeEstimateTest, ForgettingFollowsAChange) {
  RidgeEstimate forgets(1, 0.99), keeps(1, 1);
  const std::vector<double> one = {1};
  for (int i = 0; i < 1000; ++i) {
    forgets.Observe(one, 1);
    keeps.Observe(one, 1);
  }
  for (int i = 0; i < 300; ++i) {
    forgets.Observe(one, 0);
    keeps.Observe(one, 0);
  }
  EXPECT_LT(forgets.Mean(one), 0.06);
  EXPECT_GT(keeps.Mean(one), 0.7);
}

}  // namespace
}  // namespace penstock::router
